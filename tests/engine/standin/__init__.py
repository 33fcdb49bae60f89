"""A stand-in for cloud providers under the real Pulumi engine. No cloud is asked; nothing here is proof of one.

What it is good for: the program's own mistakes. Every input is held against the SDK's own metadata (unknown names,
wrong nesting, wrong types, missing ones are refused); names and ids are unique and must refer to something that lives
in the same region; what another resource still refers to cannot be deleted; a change that the real provider answers
with a replacement is planned as one; failures can be ordered. One implementation for every SDK package.

What it cannot see: what a service itself would refuse (a policy's grammar, a quota, a value out of range).

- `account`: the resources that live, and what an account refuses.
- `naming`: which names are unique, and which the provider makes up.
- `replacement`: which changes replace a resource.
- `lookups`: the answers to functions.
- `provider`: the provider's side of the engine's protocol.
- `plugins`: executables that the engine takes for the providers.
"""
