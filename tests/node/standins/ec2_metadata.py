"""A stand-in for EC2's metadata service, version 2, on the address that it has: nothing without a session token.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html. What it knows is in a file that
the test writes, path by path; a path that is not there is 404, as for an instance that got no notice. While the file is
away the service is.
"""

import http.server
import json
import pathlib
import secrets

KNOWN = pathlib.Path("/var/lib/stand-in-metadata.json")
TOKENS = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_PUT(self):
        seconds = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token" or not seconds.isdigit() or not 1 <= int(seconds) <= 21_600:
            return self._answer(400)
        token = secrets.token_urlsafe(40)
        TOKENS.add(token)
        return self._answer(200, token)

    def do_GET(self):
        if self.headers.get("X-aws-ec2-metadata-token") not in TOKENS:
            return self._answer(401)
        found = self._known().get(self.path.removeprefix("/latest/"))
        return self._answer(404) if found is None else self._answer(200, found)

    def _known(self):
        return json.loads(KNOWN.read_text()) if KNOWN.exists() else {}

    def _answer(self, status, text=""):
        if not KNOWN.exists():
            status, text = 503, ""
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("169.254.169.254", 80), Handler).serve_forever()
