"""What runs on a node beside the server, with nothing but Python 3.10's own library.

The files of this folder travel to the node in its user data and run there as the package `node`.
"""
