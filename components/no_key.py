"""What a load balancer itself tells a caller without an API key."""

from __future__ import annotations

import json

# In the server's own form, and within the 1024 bytes that a listener's rule can say on either cloud.
NO_KEY = json.dumps(
    {
        "error": {
            "message": "No API key was given; send the header: Authorization: Bearer KEY",
            "type": "authentication_error",
            "param": None,
            "code": "missing_api_key",
        }
    }
)
