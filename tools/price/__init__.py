"""What stacks cost: `make price`, or `indextts2 price` in a checkout.

- `subject`: which stack, region and instance type, as what is billed.
- `aws`: prices by AWS's own interfaces, where credentials allow.
- `__main__`: the comparison.
"""
