"""The prices that this repository knows: each with where it was published and when. What is not here is not known.

Prices from a cloud's own interface take the place of these where credentials allow to ask (tools/price/).
"""

from __future__ import annotations

from components.prices.figures import LOAD_BALANCER, NAT_GATEWAY, ON_DEMAND, SPOT, Figure, Figures

# On-demand prices of AWS's Price List API, as Karpenter's maintainers wrote them down.
_EC2 = (
    "https://github.com/aws/karpenter-provider-aws/blob/6fc13b5236fd04fd16ff3f9dc7490d0813994099/"
    "pkg/providers/pricing/zz_generated.pricing_aws.go"
)
_EC2_DATE = "2026-07-20"
# On-demand and spot prices of AWS's interfaces, as SkyPilot's robot wrote them down. The commit's own day is not known;
# version 9 of the list was proposed on 2026-07-09: https://github.com/skypilot-org/skypilot-catalog/pull/185
_SKY = (
    "https://github.com/skypilot-org/skypilot-catalog/blob/2c3d7ea7d76bf84cf80d382e946c1609571485fd/"
    "catalogs/v9/aws/vms.csv"
)
_SKY_DATE = "2026-07 or later, by its commit"
# Alibaba Cloud's pay-as-you-go list prices, as written down for its Karpenter provider.
_ECS = (
    "https://github.com/cloudpilot-ai/karpenter-provider-alibabacloud/blob/"
    "5d2e077457ab51b9feb16f01523e06c042d9a27e/pkg/providers/pricing/initial-on-demand-prices.json"
)
_ECS_DATE = "2024-12-31"
_ELB = "https://aws.amazon.com/elasticloadbalancing/pricing/"
_VPC = "https://aws.amazon.com/vpc/pricing/"
_PAGES_DATE = "2026-09-20"
# Defang's cost estimate by AWS's price list: 730 hours of each, 16.43 and 32.85 USD.
_ESTIMATE = (
    "https://github.com/DefangLabs/defang/blob/6572f6546e85a783a99600e7820ff62d70870a8e/"
    "src/cmd/cli/command/estimate_test.go"
)
_ESTIMATE_DATE = "2026-08-14"

_EC2_US_EAST_1 = {
    "g4dn.xlarge": 0.526, "g4dn.2xlarge": 0.752, "g4dn.4xlarge": 1.204, "g4dn.8xlarge": 2.176, "g4dn.12xlarge": 3.912,
    "g4dn.16xlarge": 4.352, "g4dn.metal": 7.824,
    "g5.xlarge": 1.006, "g5.2xlarge": 1.212, "g5.4xlarge": 1.624, "g5.8xlarge": 2.448, "g5.12xlarge": 5.672,
    "g5.16xlarge": 4.096, "g5.24xlarge": 8.144, "g5.48xlarge": 16.288,
    "g6.xlarge": 0.8048, "g6.2xlarge": 0.9776, "g6.4xlarge": 1.3232, "g6.8xlarge": 2.0144, "g6.12xlarge": 4.6016,
    "g6.16xlarge": 3.3968, "g6.24xlarge": 6.6752, "g6.48xlarge": 13.3504,
    "g6e.xlarge": 1.861, "g6e.2xlarge": 2.24208, "g6e.4xlarge": 3.00424, "g6e.8xlarge": 4.52856,
    "g6e.12xlarge": 10.49264, "g6e.16xlarge": 7.57719, "g6e.24xlarge": 15.06559, "g6e.48xlarge": 30.13118,
    "gr6.4xlarge": 1.5392, "gr6.8xlarge": 2.4464,
}  # fmt: skip
# (region, type): on demand, and spot in the dearest of the region's zones
_EC2_ELSEWHERE = {
    ("us-west-2", "g4dn.xlarge"): (0.526, 0.2279),
    ("us-east-2", "g4dn.xlarge"): (0.526, 0.1494),
    ("us-west-1", "g4dn.xlarge"): (0.631, 0.3232),
    ("ca-central-1", "g4dn.xlarge"): (0.584, 0.2094),
    ("eu-central-1", "g4dn.xlarge"): (0.658, 0.2603),
    ("eu-north-1", "g4dn.xlarge"): (0.558, 0.1959),
    ("eu-west-1", "g4dn.xlarge"): (0.587, 0.3066),
    ("eu-west-2", "g4dn.xlarge"): (0.615, 0.1860),
    ("eu-west-3", "g4dn.xlarge"): (0.615, 0.1929),
    ("us-west-2", "g5.xlarge"): (1.006, 0.5657),
    ("us-east-2", "g5.xlarge"): (1.006, 0.3975),
    ("ap-northeast-1", "g5.xlarge"): (1.459, 0.7023),
    ("ap-northeast-2", "g5.xlarge"): (1.237, 0.5252),
    ("ap-south-1", "g5.xlarge"): (1.208, 0.6075),
    ("ap-southeast-2", "g5.xlarge"): (1.308, 0.6910),
    ("ca-central-1", "g5.xlarge"): (1.117, 0.6140),
    ("eu-central-1", "g5.xlarge"): (1.258, 0.8423),
    ("eu-north-1", "g5.xlarge"): (1.067, 0.4423),
    ("eu-west-1", "g5.xlarge"): (1.123, 0.5941),
    ("eu-west-2", "g5.xlarge"): (1.277, 0.6335),
}
_EC2_SPOT_US_EAST_1 = {"g4dn.xlarge": 0.2160, "g5.xlarge": 0.4516}
_ECS_CN_HANGZHOU = {
    "ecs.gn6i-c4g1.xlarge": 11.63, "ecs.gn6i-c8g1.2xlarge": 14.0, "ecs.gn6i-c16g1.4xlarge": 16.41,
    "ecs.gn6i-c24g1.6xlarge": 17.19, "ecs.gn6i-c40g1.10xlarge": 14.819, "ecs.gn6i-c24g1.12xlarge": 34.38,
    "ecs.gn6i-c24g1.24xlarge": 68.75,
    "ecs.gn7i-c8g1.2xlarge": 9.5326, "ecs.gn7i-c16g1.4xlarge": 10.0934, "ecs.gn7i-c32g1.8xlarge": 13.3083,
}  # fmt: skip


def _published() -> Figures:
    found = {(ON_DEMAND, "us-east-1", kind): _usd(price, _EC2, _EC2_DATE) for kind, price in _EC2_US_EAST_1.items()}
    for kind, price in _EC2_SPOT_US_EAST_1.items():
        found[SPOT, "us-east-1", kind] = _usd(price, _SKY, _SKY_DATE)
    for (region, kind), (on_demand, spot) in _EC2_ELSEWHERE.items():
        found[ON_DEMAND, region, kind] = _usd(on_demand, _SKY, _SKY_DATE)
        found[SPOT, region, kind] = _usd(spot, _SKY, _SKY_DATE)
    for kind, price in _ECS_CN_HANGZHOU.items():
        found[ON_DEMAND, "cn-hangzhou", kind] = Figure(price, "CNY", _ECS, _ECS_DATE)
    # The vendor's pages give these in their examples, each of one region.
    found[LOAD_BALANCER, "us-east-1", ""] = _usd(0.0225, _ELB, _PAGES_DATE)
    found[NAT_GATEWAY, "us-east-2", ""] = _usd(0.045, _VPC, _PAGES_DATE)
    found[LOAD_BALANCER, "us-west-2", ""] = _usd(0.0225, _ESTIMATE, _ESTIMATE_DATE)
    found[NAT_GATEWAY, "us-west-2", ""] = _usd(0.045, _ESTIMATE, _ESTIMATE_DATE)
    return found


def _usd(value: float, source: str, date: str) -> Figure:
    return Figure(value, "USD", source, date)


PUBLISHED: Figures = _published()
