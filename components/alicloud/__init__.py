"""Alibaba Cloud as a target: GPU instances behind an Application Load Balancer."""

from components.alicloud.checks import check
from components.alicloud.fleet import GpuFleet
from components.alicloud.image import ServerImage
from components.alicloud.load_balancer import LoadBalancer
from components.alicloud.monitoring import Monitoring
from components.alicloud.network import Network
from components.alicloud.price import bill
from components.alicloud.provider import providers
from components.alicloud.queue import JobQueue
from components.alicloud.secrets import ApiKeys
from components.alicloud.storage import ObjectStore
from components.alicloud.survey import survey
from components.contracts import Parts

PARTS = Parts(
    check=check,
    providers=providers,
    survey=survey,
    bill=bill,
    network=Network,
    store=ObjectStore,
    queue=JobQueue,
    keys=ApiKeys,
    image=ServerImage,
    fleet=GpuFleet,
    load_balancer=LoadBalancer,
    monitoring=Monitoring,
)
