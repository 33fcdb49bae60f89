"""The state that a team shares: where it is kept, who opens its secrets, and how a stack gets there.

- `record`: which stack's state is where, in state.json, for everybody.
- `plan`: names, addresses and policies, as plain data.
- `aws`: makes the bucket and the key.
- `move`: brings a stack there without loss.
"""
