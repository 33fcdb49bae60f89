"""Who reaches a service on AWS, and under which name."""

from __future__ import annotations

import re

from pydantic import ValidationInfo, field_validator

from components.settings.cloud import PublicAddressSettings, is_domain
from components.settings.model import Given

_CERTIFICATE = re.compile(r"arn:aws:acm:(?P<region>[a-z0-9-]+):[0-9]{12}:certificate/[A-Za-z0-9-]+")
_ZONE_ID = re.compile(r"Z[A-Z0-9]{1,31}")


class AccessSettings(PublicAddressSettings):
    """Who reaches the service, and under which name. Without a domain: plain HTTP, for `allowed_cidrs` alone.

    `hosted_zone` is a zone's name or id; after `survey` (components/aws/survey.py) it is the id.
    """

    certificate: Given[str]
    hosted_zone: Given[str]

    @field_validator("certificate")
    @classmethod
    def _is_a_certificate(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is None:
            return None
        if not _CERTIFICATE.fullmatch(text):
            raise ValueError(
                "is no certificate's ARN; it looks like arn:aws:acm:us-west-2:123456789012:certificate/..."
            )
        if "domain" in info.data and info.data["domain"] is None:
            raise ValueError("is of no use without access.domain; give the domain that it was issued for")
        return text

    @field_validator("hosted_zone")
    @classmethod
    def _holds_the_domain(cls, text: str | None, info: ValidationInfo) -> str | None:
        domain = info.data.get("domain")
        if text is None:
            if domain is not None and info.data.get("certificate", "") is None:
                raise ValueError(
                    f"is missing: {domain} needs access.certificate, or access.hostedZone in which one can be issued"
                )
            return None
        if "domain" in info.data and domain is None:
            raise ValueError("is of no use without access.domain; give the name to make in this zone")
        if _ZONE_ID.fullmatch(text):
            return text
        if not is_domain(text):
            raise ValueError("is no zone; give its name, like example.com, or its id, like Z0123456789ABCDEFGHIJ")
        if domain is not None and domain != text and not domain.endswith(f".{text}"):
            raise ValueError(f"does not hold access.domain, {domain}; use a domain that ends with .{text}, or its zone")
        return text

    @property
    def hosted_zone_is_id(self) -> bool:
        """Whether `hosted_zone` names a zone without a look-up."""
        return self.hosted_zone is not None and _ZONE_ID.fullmatch(self.hosted_zone) is not None

    @property
    def certificate_region(self) -> str | None:
        """The region of `certificate`."""
        found = _CERTIFICATE.fullmatch(self.certificate or "")
        return found["region"] if found else None
