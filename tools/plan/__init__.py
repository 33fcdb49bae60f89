"""What a change would do to the stacks, for the people who approve it.

- `touched`: the stacks that a change can touch.
- `preview`: runs `pulumi preview --json` with the policy pack, for one stack.
- `events`: what the engine said in it, as a `Plan`.
- `differences`: which values of a resource change.
- `failure`: why a preview failed and what to do.
- `markdown`: the comment.
- `comments`: puts the comments under a pull request, each in its place.
"""
