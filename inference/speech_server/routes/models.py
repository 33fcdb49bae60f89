"""`GET /v1/models`: the engine, under every name that it answers to."""

from __future__ import annotations

from fastapi import APIRouter

from speech_server.api.openai import Model, ModelList, check_model, model_ids
from speech_server.routes.speaking import ERRORS, ServiceOf

router = APIRouter(prefix="/v1/models", tags=["openai"], responses={401: ERRORS[401], 503: ERRORS[503]})


@router.get("")
async def list_models(service: ServiceOf) -> ModelList:
    capabilities = await service.pipeline.speaker.engine()
    return ModelList(data=[Model(id=name) for name in model_ids(capabilities)])


@router.get("/{model}", responses={404: ERRORS[404], 422: ERRORS[400]})
async def get_model(model: str, service: ServiceOf) -> Model:
    check_model(model, await service.pipeline.speaker.engine())
    return Model(id=model)
