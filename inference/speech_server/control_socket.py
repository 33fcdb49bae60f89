"""What both ends of a server's control socket must agree on."""

NAME = "control.sock"  # in the server's work folder
MAX_REASON_CHARS = 100
