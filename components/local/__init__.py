"""This machine as a target: directories for the buckets, processes for the nodes, Caddy for the load balancer."""

from components.contracts import Parts
from components.local.checks import check
from components.local.fleet import GpuFleet
from components.local.image import ServerImage
from components.local.load_balancer import LoadBalancer
from components.local.queue import JobQueue
from components.local.secrets import ApiKeys
from components.local.storage import ObjectStore

PARTS = Parts(
    check=check,
    providers=lambda _settings: [],
    network=None,
    store=ObjectStore,
    queue=JobQueue,
    keys=ApiKeys,
    image=ServerImage,
    fleet=GpuFleet,
    load_balancer=LoadBalancer,
    monitoring=None,
)
