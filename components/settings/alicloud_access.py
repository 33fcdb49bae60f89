"""Who reaches a service on Alibaba Cloud, and under which name."""

from __future__ import annotations

import re

from pydantic import ValidationInfo, field_validator

from components.settings.cloud import PublicAddressSettings, is_domain
from components.settings.model import Given

# Certificate Management Service's own id and the region of the site that holds it, as load balancers take it:
# https://www.alibabacloud.com/help/en/slb/application-load-balancer/developer-reference/api-alb-2020-06-16-createlistener
_CERTIFICATE = re.compile(r"[0-9]{4,20}-[a-z]{2}-[a-z0-9-]{4,30}")


class AccessSettings(PublicAddressSettings):
    """Who reaches the service, and under which name. Without a domain: plain HTTP, for `allowed_cidrs` alone.

    `certificate` is an id of Certificate Management Service (12345678-cn-hangzhou); none can be issued along the way.
    `hosted_zone` is the name of a domain in Alibaba Cloud DNS in which the record is made; None: made elsewhere.
    """

    certificate: Given[str]
    hosted_zone: Given[str]

    @field_validator("certificate")
    @classmethod
    def _is_a_certificate(cls, text: str | None, info: ValidationInfo) -> str | None:
        if "domain" not in info.data:
            return text
        domain = info.data["domain"]
        if text is None:
            if domain is not None:
                raise ValueError(
                    f"is missing: {domain} needs a certificate; upload or order one in Certificate Management Service "
                    "and give its id, like 12345678-cn-hangzhou"
                )
            return None
        if not _CERTIFICATE.fullmatch(text):
            raise ValueError("is no certificate's id; it looks like 12345678-cn-hangzhou, with the region at its end")
        if domain is None:
            raise ValueError("is of no use without access.domain; give the domain that it was issued for")
        return text

    @field_validator("hosted_zone")
    @classmethod
    def _holds_the_domain(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is None or "domain" not in info.data:
            return text
        domain = info.data["domain"]
        if domain is None:
            raise ValueError("is of no use without access.domain; give the name to make in this domain")
        if not is_domain(text):
            raise ValueError("is no domain of Alibaba Cloud DNS; give its name, like example.com")
        if domain != text and not domain.endswith(f".{text}"):
            raise ValueError(f"does not hold access.domain, {domain}; use a domain that ends with .{text}, or its zone")
        return text

    @property
    def record_name(self) -> str | None:
        """The host record of `domain` in `hosted_zone`: `speech` of speech.example.com in example.com, `@` itself."""
        if self.domain is None or self.hosted_zone is None:
            return None
        return self.domain.removesuffix(self.hosted_zone).removesuffix(".") or "@"
