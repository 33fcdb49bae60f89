"""How long speech will be and how long it will take: what admission, deadlines and fair shares are computed from."""
