"""What stacks cost, side by side: `python -m tools.price STACK... [--region R] [--instance-type T] [--table-only]`."""

from __future__ import annotations

import argparse
import sys

from components.prices.catalogue import PUBLISHED
from components.prices.figures import Figures
from components.prices.rendering import table
from components.prices.stack import price
from tools.checkout import here
from tools.failure import exit_status
from tools.price.subject import Subject, subjects


def main(arguments: list[str]) -> None:
    """Prints the comparison. Raises SetupError for a stack that is none."""
    parser = argparse.ArgumentParser(prog="indextts2 price", description="What stacks cost, side by side.")
    parser.add_argument("stack", nargs="+", help="of this checkout, say: dev prod")
    parser.add_argument("--region", action="append", default=[], help="as if it were there; may be given several times")
    parser.add_argument("--instance-type", action="append", default=[], help="as if its nodes were of this type")
    parser.add_argument("--table-only", action="store_true", help="the published figures, even where AWS would answer")
    options = parser.parse_args(arguments)
    found = subjects(here(), options.stack, options.region, options.instance_type)
    figures = PUBLISHED if options.table_only else {**PUBLISHED, **asked(found)}
    prices = {one.name: price(one.bill, figures) for one in found if one.bill}
    for one in found:
        if one.bill is None:
            print(f"{one.name}: runs on this machine, and nobody sends a bill for it")
    if prices:
        print(table(prices))


def asked(found: list[Subject]) -> Figures:
    """What AWS itself answers for these; says on standard error why not, where it does not."""
    wanted: dict[str, set[str]] = {}
    for one in found:
        if one.bill and one.bill.currency == "USD":
            wanted.setdefault(one.bill.region, set()).add(one.bill.instance_type)
    if not wanted:
        return {}
    try:
        import boto3  # noqa: PLC0415 (heavy, and not there in a checkout that is set up for another target)
    except ModuleNotFoundError:
        print("AWS is not asked: boto3 is not installed (`make setup` of a stack on AWS)", file=sys.stderr)
        return {}
    from tools.price import aws  # noqa: PLC0415 (needs boto3's own part)

    session = boto3.Session()
    if session.get_credentials() is None:
        print("AWS is not asked: there are no credentials; published figures only", file=sys.stderr)
        return {}
    figures = {}
    # The price list is served in few regions: https://docs.aws.amazon.com/general/latest/gr/billing.html
    pricing = session.client("pricing", region_name="us-east-1")
    for region, kinds in wanted.items():
        answered, refused = aws.ask(pricing, session.client("ec2", region_name=region), region, sorted(kinds))
        figures |= answered
        for text in refused:
            print(f"AWS refuses {region}: {text}", file=sys.stderr)
    return figures


if __name__ == "__main__":
    sys.exit(exit_status(main, sys.argv[1:]))
