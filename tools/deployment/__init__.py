"""Deploying a stack of a team: the update, the proof that it speaks, and the way back when it does not.

- `deploy`: the steps in their order.
- `last`: the commit that was deployed last.
- `approval`: whether somebody must approve first.
- `decision`: what is to be done after each.
- `rollout`: waits until the new nodes have taken the old ones' place.
- `smoke`: a request that speaks, and the check of what came back.
"""
