"""The load balancer's configuration, as the text of a Caddyfile."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

from components.local.machine.layout import Layout
from components.local.machine.programs import REPLICAS, socket_of

# The server's own limit (SPEECH_MAX_BODY_BYTES). A longer body is refused by the length that it announces, and one that
# announces none is not taken: ended while it is being sent to a replica (request_body's max_size), it would count as
# the replica's failure, take that out for a second, and be tried again for 30 s - for a client without any key, too.
MAX_BODY = "16MiB"
TOO_LONG = "^0*([2-9][0-9]{7}|1[7-9][0-9]{6}|[0-9]{9,})$"
# Caddy keeps that much of a request, all that is let through, so that it can be sent to another replica.
BUFFER = "17MB"

TOO_LARGE = f"the request body is larger than {MAX_BODY}; send a smaller reference_audio"
NO_LENGTH = "send the request with a Content-Length, not chunked"
UNAVAILABLE = "no server can take the request now; try again"


def site_url(host: str, port: int) -> str:
    """The address that a person on this machine uses."""
    address = ip_address(host)
    if address.is_unspecified:
        address = ip_address("::1" if address.version == 6 else "127.0.0.1")
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def admin_socket(layout: Layout) -> Path:
    return layout.sockets / "caddy-admin.sock"


def caddyfile(layout: Layout, host: str, port: int) -> str:
    """The whole file.

    It names the socket of every replica that there can be: one that is not there fails its health check and gets no
    request. So a change of the replicas leaves Caddy alone; loading a new configuration closes the connections that
    clients keep open, and a request that is just being sent on one is lost.

    A request goes to the replica with the fewest in flight. When that one dies, the request is sent to another if it
    does no more when done twice: a synthesis has no effect but its answer, the same voice is not added a second time,
    an Idempotency-Key makes a job the same job, and a job that comes without gets one here. Of others (the deletion of
    a voice) the client is told with 502 that nobody knows whether they were done.
    """
    backends = " ".join(f'"unix/{socket_of(layout, name)}"' for name in REPLICAS)
    return f"""# written by pulumi; `pulumi up --refresh` undoes changes by hand
{{
	admin "unix/{admin_socket(layout)}|0600"
	persist_config off
	auto_https off
	storage file_system "{layout.run / "caddy"}"
	grace_period 25s
	log default {{
		output stderr
		level WARN
	}}
	servers {{
		protocols h1
		max_header_size 16KB
		timeouts {{
			read_header 10s
			read_body 60s
			write 15m
			idle 2m
		}}
	}}
}}

http://:{port} {{
	bind {host}
	log {{
		output file "{layout.logs / "access.log"}" {{
			mode 0600
			roll_size 10MiB
			roll_keep 3
		}}
	}}
	@unnamed not header X-Request-Id *
	request_header @unnamed X-Request-Id {{http.request.uuid}}
	@unkeyed {{
		method POST
		path /v1/jobs
		not header Idempotency-Key *
	}}
	request_header @unkeyed Idempotency-Key {{http.request.uuid}}
	header -Server
	@unsized header Transfer-Encoding *
	handle @unsized {{
		error 411
	}}
	@oversized header_regexp Content-Length {TOO_LONG}
	handle @oversized {{
		error 413
	}}
	@replica path_regexp replica ^/metrics/([0-9]{{1,2}})$
	handle @replica {{
		rewrite * /metrics
		reverse_proxy "unix/{layout.sockets}/server-{{re.replica.1}}.sock"
	}}
	handle {{
		reverse_proxy {backends} {{
			lb_policy least_conn
			lb_try_duration 30s
			lb_try_interval 100ms
			lb_retry_match {{
				method GET HEAD
			}}
			lb_retry_match {{
				method POST
				path /generate /v1/audio/speech /v1/audio/voices
			}}
			lb_retry_match {{
				method POST
				path /v1/jobs
			}}
			lb_retry_match {{
				method DELETE
				path /v1/jobs/*
			}}
			request_buffers {BUFFER}
			health_uri /readyz
			health_interval 1s
			health_timeout 3s
			fail_duration 1s
			max_fails 1
			transport http {{
				dial_timeout 2s
				response_header_timeout 11m
				keepalive 30s
			}}
		}}
	}}
	handle_errors {{
		header -Server
		header Content-Type application/json
		header X-Request-Id {{http.request.header.X-Request-Id}}
		@length expression {{http.error.status_code}} == 411
		handle @length {{
			respond `{_error(NO_LENGTH, "length_required")}` 411
		}}
		@large expression {{http.error.status_code}} == 413
		handle @large {{
			respond `{_error(TOO_LARGE, "request_too_large")}` 413
		}}
		handle {{
			header Retry-After 2
			respond `{_error(UNAVAILABLE, "unavailable")}` {{http.error.status_code}}
		}}
	}}
}}
"""


def _error(message: str, code: str) -> str:
    """The body of an error that the load balancer itself answers, in the shape of the server's own."""
    kind = "server_error" if code == "unavailable" else "invalid_request_error"
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})
