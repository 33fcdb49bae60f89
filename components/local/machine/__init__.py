"""What the local target does on this machine: paths, ports, the process supervisor and the proxy. Knows no Pulumi."""
