"""The local target's resources: what Pulumi creates, compares, reads back, changes and deletes on this machine.

Dynamic providers: the engine runs their methods in a process of its own, which imports these classes by name.
"""
