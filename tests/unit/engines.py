"""Engines and weights as settings have them."""

from components.settings import EngineSettings, WeightsSettings
from components.settings.engine import weights_of

_OPEN = {"version": "", "precision": "", "lowMemory": ""}
_NOWHERE = WeightsSettings.model_validate({"name": "", "source": "", "endpoint": ""})

ESPEAK = EngineSettings.model_validate({"name": "espeak", **_OPEN})
NO_WEIGHTS = weights_of(ESPEAK, _NOWHERE, mainland=False)
INDEXTTS2 = EngineSettings.model_validate({"name": "indextts2", **_OPEN})
WEIGHTS = weights_of(INDEXTTS2, _NOWHERE, mainland=False)
FILLED = WEIGHTS.model_copy(update={"source": "none"})
