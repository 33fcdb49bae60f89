"""The terms that come with the model, told to whoever runs it."""

from __future__ import annotations

# https://github.com/index-tts/index-tts/blob/main/LICENSE, sections 2.2, 3.4 and 4.1
NOTICE = (
    "IndexTTS2 (code and weights) is used under the bilibili Model Use License Agreement, "
    "https://github.com/index-tts/index-tts/blob/main/LICENSE: free of charge unless you or your affiliates have more "
    "than 100 million monthly users or RMB 1 billion yearly revenue; the agreement goes with every copy; it and its "
    "output may not be used to improve other AI models, non-commercial ones excepted."
)
