"""The certificate that the load balancer shows."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


def issued_certificate(name: str, domain: str, hosted_zone: str, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """The ARN of a certificate for `domain`, proved by a record in the zone of the id `hosted_zone`, renewed by AWS.

    It is known only once it is issued, so that no listener takes one that is not.
    """
    certificate = aws.acm.Certificate(f"{name}-certificate", domain_name=domain, validation_method="DNS", opts=opts)
    # One domain, one record; the certificate's own answer says which.
    proof = certificate.domain_validation_options[0]
    record = aws.route53.Record(
        f"{name}-certificate-proof",
        zone_id=hosted_zone,
        name=proof.resource_record_name,
        type=proof.resource_record_type,
        records=[proof.resource_record_value],
        ttl=60,
        # The record of a domain is the same for every certificate of an account: a second stack meets the first's.
        allow_overwrite=True,
        opts=opts,
    )
    validation = aws.acm.CertificateValidation(
        f"{name}-certificate-issued",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
        opts=opts,
    )
    return validation.certificate_arn
