"""Random weights in the real file formats, made by the packages' own classes: full-size, or small enough for a CPU.

Full size is the published configuration (configs/config_v2_5.yaml of https://github.com/index-tts/index-tts, the
config.json of nvidia/bigvgan_v2_22khz_80band_256x, facebook/w2v-bert-2.0 and Qwen/Qwen3-0.6B): as fast and as large as
the trained model, and as long as it is told to be. In the tiny size what decides about shapes between the parts stays
(1,024 semantic features, 80 mel bands, 192 style features); layers, heads and code books are cut down. Sixty-four mel
codes with a stop code among them end a segment after some thirty codes, as a trained model ends it after its sentence.
"""

from __future__ import annotations

import base64
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EMO_NUM = [3, 17, 2, 8, 4, 5, 10, 24]
_FEATURES = 1024
_NEVER = -1e4  # as a logarithm of a probability; half precision has it


@dataclass(frozen=True)
class Size:
    """What differs between the sizes. `gpt_width` is of version 2.5: version 2 has it written into its code."""

    mel_codes: int
    text_tokens: int
    gpt_layers: int
    gpt_width: int
    head_width: int
    condition: dict[str, Any]
    emotion_condition: dict[str, Any]
    codec: dict[str, int]
    dit: dict[str, int]  # hidden_dim, num_heads, depth
    wavenet: dict[str, int]
    vocoder_channels: int
    listening: dict[str, int]
    emotion_model: dict[str, int]


_CONFORMER = {"input_layer": "conv2d2", "perceiver_mult": 2}
_SMALL_CONFORMER = {**_CONFORMER, "output_size": 32, "linear_units": 32, "attention_heads": 2, "num_blocks": 1}
TINY = Size(
    mel_codes=64,
    text_tokens=12_000,
    gpt_layers=2,
    gpt_width=64,
    head_width=16,
    condition=_SMALL_CONFORMER,
    emotion_condition=_SMALL_CONFORMER,
    codec={"vocos_dim": 32, "vocos_intermediate_dim": 64, "vocos_num_layers": 1},
    dit={"hidden_dim": 64, "num_heads": 2, "depth": 3},
    wavenet={"hidden_dim": 64, "num_layers": 2},
    vocoder_channels=64,
    listening={"num_hidden_layers": 18, "num_attention_heads": 2, "intermediate_size": 32, "output_hidden_size": 32},
    emotion_model={
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
    },
)
FULL = Size(
    mel_codes=8192,
    text_tokens=60_509,
    gpt_layers=24,
    gpt_width=1280,
    head_width=64,
    condition={**_CONFORMER, "output_size": 512, "linear_units": 2048, "attention_heads": 8, "num_blocks": 6},
    emotion_condition={**_CONFORMER, "output_size": 512, "linear_units": 1024, "attention_heads": 4, "num_blocks": 4},
    codec={"vocos_dim": 384, "vocos_intermediate_dim": 2048, "vocos_num_layers": 12},
    dit={"hidden_dim": 512, "num_heads": 8, "depth": 13},
    wavenet={"hidden_dim": 512, "num_layers": 8},
    vocoder_channels=1536,
    listening={
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "output_hidden_size": 1024,
    },
    emotion_model={
        "vocab_size": 151_936,
        "tie_word_embeddings": True,
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
)

_VOCODER = {
    "resblock": "1",
    "num_mels": 80,
    "sampling_rate": 22_050,
    "upsample_rates": [4, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4],
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
    "activation": "snakebeta",
    "snake_logscale": True,
}


def write_v25(folder: Path, root: str, size: Size = TINY) -> None:
    """Version 2.5's files, by the classes of the package `root` ("indextts25" or "indextts")."""
    torch, config = _write_shared(folder, "2.5", root, size)
    voice = importlib.import_module(f"{root}.gpt.model_v2").UnifiedVoice
    gpt = voice(**config.gpt, **({"spk_cond_mode": "campplus"} if root == "indextts" else {}))
    torch.save(_trained(gpt.state_dict(), size), folder / "gpt.pth")
    codec = importlib.import_module(f"{root}.codec.models").EnhancedCodec
    arguments = {"cfg": config.semantic_codec} if root == "indextts" else {}
    torch.save({"model": codec(**config.semantic_codec, **arguments).state_dict()}, folder / "codec.pth")
    _write_s2mel(torch, folder, importlib.import_module(f"{root}.s2mel.modules.commons").MyModel(config.s2mel))
    ranks = "".join(f"{base64.b64encode(bytes([byte])).decode()} {byte}\n" for byte in range(256))
    (folder / "multilingual_zh_ja_yue_char_del.tiktoken").write_text(ranks)


def write_v2(folder: Path, root: str, size: Size = TINY) -> None:
    """Version 2's files, by upstream's classes."""
    torch, config = _write_shared(folder, "2", root, size)
    gpt = importlib.import_module("indextts.gpt.model_v2").UnifiedVoice(**config.gpt, use_accel=False)
    torch.save(_trained(gpt.state_dict(), size), folder / "gpt.pth")
    codec = importlib.import_module("indextts.codec.maskgct_codec").build_semantic_codec(config.semantic_codec)
    safetensors = importlib.import_module("safetensors.torch")
    safetensors.save_model(codec, str(folder / "hf_cache/semantic_codec_model.safetensors"))
    commons = importlib.import_module("indextts.s2mel.modules.commons")
    _write_s2mel(torch, folder, commons.MyModel(config.s2mel, use_gpt_latent=True))
    _write_sentence_pieces(folder / "bpe.model")


def _write_s2mel(torch: Any, folder: Path, s2mel: Any) -> None:
    torch.save({"net": {name: part.state_dict() for name, part in s2mel.models.items()}}, folder / "s2mel.pth")


def _write_sentence_pieces(path: Path) -> None:
    """A vocabulary of characters, words and pinyin, upper-case as the published one."""
    sentencepiece = importlib.import_module("sentencepiece")
    syllables = ["YAO4", "ZHE4", "YANG4", "XING2"]
    text = path.with_suffix(".txt")
    text.write_text("今 天 有 十 二 个 苹 果 你 好 机 密 的 句 子 。\nTHE SECOND ONE , THERE ARE TWELVE TODAY .\n" * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(path.with_suffix("")), vocab_size=120, model_type="bpe",
        character_coverage=1.0, user_defined_symbols=syllables, minloglevel=2, hard_vocab_limit=False,
        bos_id=0, eos_id=1, unk_id=2, pad_id=-1,
    )  # fmt: skip


def _trained(state: dict[str, Any], size: Size) -> dict[str, Any]:
    """A GPT's weights that behave like trained ones: it never says that speech begins, for which there is no sound, and
    attends to what came before, to the emotion above all. The latter only in the tiny size: in the full one it would
    leave the range of half precision.
    """
    state["mel_head.bias"][size.mel_codes] = _NEVER
    if size is not TINY:
        return state
    louder = ("emo_layer.weight", "attn.c_attn.weight", "attn.c_proj.weight")
    return {name: value * 30 if name.endswith(louder) else value for name, value in state.items()}


def _write_shared(folder: Path, version: str, root: str, size: Size) -> tuple[Any, Any]:
    """What both versions have: config, matrices, listening, vocoder, text-emotion model. Gives torch and the config."""
    torch: Any = importlib.import_module("torch")
    torch.manual_seed(1)
    for name in ("hf_cache/w2v-bert-2.0", "hf_cache/bigvgan", "qwen0.6bemo4-merge"):
        (folder / name).mkdir(parents=True)
    config = _config(size, version)
    # JSON is YAML, but for the version, which is looked for at the beginning of a line
    (folder / "config.yaml").write_text(json.dumps(config)[:-1] + f',\n"version": {version}}}')
    vocoder_config = {**_VOCODER, "upsample_initial_channel": size.vocoder_channels}
    (folder / "hf_cache/bigvgan/config.json").write_text(json.dumps(vocoder_config))
    torch.save(torch.randn(sum(_EMO_NUM), 192), folder / "feat1.pt")
    # loud enough to be heard through weights that mean nothing
    torch.save(20 * torch.randn(sum(_EMO_NUM), config["gpt"]["model_dim"]), folder / "feat2.pt")
    stats = {"mean": torch.zeros(_FEATURES), "var": torch.ones(_FEATURES)}
    torch.save(stats, folder / "wav2vec2bert_stats.pt")
    transformers = importlib.import_module("transformers")
    listening = transformers.Wav2Vec2BertConfig(hidden_size=_FEATURES, **size.listening)
    transformers.Wav2Vec2BertModel(listening).save_pretrained(folder / "hf_cache/w2v-bert-2.0")
    extractor = transformers.SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, sampling_rate=16_000)
    extractor.save_pretrained(folder / "hf_cache/w2v-bert-2.0")
    _write_emotion_model(folder / "qwen0.6bemo4-merge", transformers, size)
    campplus = importlib.import_module(f"{root}.s2mel.modules.campplus.DTDNN").CAMPPlus(feat_dim=80, embedding_size=192)
    torch.save(campplus.state_dict(), folder / "hf_cache/campplus_cn_common.bin")
    vocoder = importlib.import_module(f"{root}.s2mel.modules.bigvgan.bigvgan")
    hparams = vocoder.load_hparams_from_json(folder / "hf_cache/bigvgan/config.json")
    torch.save({"generator": vocoder.BigVGAN(hparams).state_dict()}, folder / "hf_cache/bigvgan/bigvgan_generator.pt")
    return torch, importlib.import_module("omegaconf").OmegaConf.load(folder / "config.yaml")


def _write_emotion_model(folder: Path, transformers: Any, size: Size) -> None:
    """A Qwen3 that writes anything at all, and its tokenizer of single bytes."""
    tokenizers = importlib.import_module("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        letter: index for index, letter in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet])
    }
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    ends = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ends)
    fast.chat_template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    fast.save_pretrained(folder)
    sizes = {"vocab_size": len(vocabulary), **size.emotion_model}
    config = transformers.Qwen3Config(max_position_embeddings=4096, **sizes)
    transformers.Qwen3ForCausalLM(config).save_pretrained(folder)


def _config(size: Size, version: str) -> dict[str, Any]:
    width = 1280 if version == "2" else size.gpt_width
    return {
        "dataset": {"bpe_model": "bpe.model"},
        "gpt": {
            "model_dim": width,
            "heads": width // size.head_width,
            "layers": size.gpt_layers,
            "max_mel_tokens": 1815,
            "max_text_tokens": 600,
            "use_mel_codes_as_input": True,
            "mel_length_compression": 1024,
            "number_text_tokens": 12_000 if version == "2" else size.text_tokens,
            "number_mel_codes": size.mel_codes + 2,
            "start_mel_token": size.mel_codes,
            "stop_mel_token": size.mel_codes + 1,
            "start_text_token": 0,
            "stop_text_token": 1,
            "train_solo_embeddings": False,
            "condition_type": "conformer_perceiver",
            "condition_module": size.condition,
            "emo_condition_module": size.emotion_condition,
        },
        "semantic_codec": {
            "codebook_size": size.mel_codes,
            "hidden_size": _FEATURES,
            "codebook_dim": 8,
            **size.codec,
        },
        "s2mel": _s2mel(size),
        "gpt_checkpoint": "gpt.pth",
        "w2v_stat": "wav2vec2bert_stats.pt",
        "s2mel_checkpoint": "s2mel.pth",
        "emo_matrix": "feat2.pt",
        "spk_matrix": "feat1.pt",
        "emo_num": _EMO_NUM,
        "qwen_emo_path": "qwen0.6bemo4-merge/",
        "vocoder": {"type": "bigvgan", "name": "nvidia/bigvgan_v2_22khz_80band_256x"},
    }


def _s2mel(size: Size) -> dict[str, Any]:
    return {
        "preprocess_params": {
            "sr": 22_050,
            "spect_params": {
                "n_fft": 1024,
                "win_length": 1024,
                "hop_length": 256,
                "n_mels": 80,
                "fmin": 0,
                "fmax": "None",
            },
        },
        "dit_type": "DiT",
        "reg_loss_type": "l1",
        "style_encoder": {"dim": 192},
        "length_regulator": {
            "channels": 512,
            "is_discrete": False,
            "in_channels": _FEATURES,
            "content_codebook_size": 2048,
            "sampling_ratios": [1, 1, 1, 1],
            "vector_quantize": False,
            "n_codebooks": 1,
            "quantizer_dropout": 0.0,
            "f0_condition": False,
            "n_f0_bins": 512,
        },
        "DiT": {
            **size.dit,
            "class_dropout_prob": 0.1,
            "block_size": 8192,
            "in_channels": 80,
            "style_condition": True,
            "final_layer_type": "wavenet",
            "target": "mel",
            "content_dim": 512,
            "content_codebook_size": 1024,
            "content_type": "discrete",
            "f0_condition": False,
            "n_f0_bins": 512,
            "content_codebooks": 1,
            "is_causal": False,
            "long_skip_connection": True,
            "zero_prompt_speech_token": False,
            "time_as_token": False,
            "style_as_token": False,
            "uvit_skip_connection": True,
            "add_resblock_in_transformer": False,
        },
        "wavenet": {
            **size.wavenet,
            "kernel_size": 5,
            "dilation_rate": 1,
            "p_dropout": 0.2,
            "style_condition": True,
        },
    }
