"""Random weights in the real file formats, small enough for a CPU: made by the packages' own classes.

What decides about shapes between the parts stays as in the published config (1,024 semantic features, 80 mel bands, 192
style features); layers, heads and code books are cut down. Sixty-four mel codes with a stop code among them end a
segment after some thirty codes, as a trained model ends it after its sentence.
"""

from __future__ import annotations

import base64
import importlib
import json
from pathlib import Path
from typing import Any

import torch

MEL_CODES = 64
_EMO_NUM = [3, 17, 2, 8, 4, 5, 10, 24]
_FEATURES = 1024

_CONFORMER = {
    "output_size": 32,
    "linear_units": 32,
    "attention_heads": 2,
    "num_blocks": 1,
    "input_layer": "conv2d2",
    "perceiver_mult": 2,
}
CONFIG: dict[str, Any] = {
    "dataset": {"bpe_model": "bpe.model"},
    "gpt": {
        "max_mel_tokens": 1815,
        "max_text_tokens": 600,
        "use_mel_codes_as_input": True,
        "mel_length_compression": 1024,
        "layers": 2,
        "number_text_tokens": 12_000,
        "number_mel_codes": MEL_CODES + 2,
        "start_mel_token": MEL_CODES,
        "stop_mel_token": MEL_CODES + 1,
        "start_text_token": 0,
        "stop_text_token": 1,
        "train_solo_embeddings": False,
        "condition_type": "conformer_perceiver",
        "condition_module": _CONFORMER,
        "emo_condition_module": _CONFORMER,
    },
    "semantic_codec": {
        "codebook_size": MEL_CODES,
        "hidden_size": _FEATURES,
        "codebook_dim": 8,
        "vocos_dim": 32,
        "vocos_intermediate_dim": 64,
        "vocos_num_layers": 1,
    },
    "s2mel": {
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
            "content_codebook_size": 64,
            "sampling_ratios": [1, 1, 1, 1],
            "vector_quantize": False,
            "n_codebooks": 1,
            "quantizer_dropout": 0.0,
            "f0_condition": False,
            "n_f0_bins": 512,
        },
        "DiT": {
            "hidden_dim": 64,
            "num_heads": 2,
            "depth": 3,
            "class_dropout_prob": 0.1,
            "block_size": 8192,
            "in_channels": 80,
            "style_condition": True,
            "final_layer_type": "wavenet",
            "target": "mel",
            "content_dim": 512,
            "content_codebook_size": 64,
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
            "hidden_dim": 64,
            "num_layers": 2,
            "kernel_size": 5,
            "dilation_rate": 1,
            "p_dropout": 0.2,
            "style_condition": True,
        },
    },
    "gpt_checkpoint": "gpt.pth",
    "w2v_stat": "wav2vec2bert_stats.pt",
    "s2mel_checkpoint": "s2mel.pth",
    "emo_matrix": "feat2.pt",
    "spk_matrix": "feat1.pt",
    "emo_num": _EMO_NUM,
    "qwen_emo_path": "qwen0.6bemo4-merge/",
    "vocoder": {"type": "bigvgan", "name": "nvidia/bigvgan_v2_22khz_80band_256x"},
}
_VOCODER = {
    "resblock": "1",
    "num_mels": 80,
    "sampling_rate": 22_050,
    "upsample_rates": [4, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4],
    "upsample_initial_channel": 64,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
    "activation": "snakebeta",
    "snake_logscale": True,
}


def write_v25(folder: Path, root: str) -> None:
    """Version 2.5's files, by the classes of the package `root` ("indextts25" or "indextts")."""
    config = _write_shared(folder, "2.5", root)
    voice = importlib.import_module(f"{root}.gpt.model_v2").UnifiedVoice
    gpt = voice(**config.gpt, **({"spk_cond_mode": "campplus"} if root == "indextts" else {}))
    torch.save(_feeling(gpt.state_dict()), folder / "gpt.pth")
    codec = importlib.import_module(f"{root}.codec.models").EnhancedCodec
    arguments = {"cfg": config.semantic_codec} if root == "indextts" else {}
    torch.save({"model": codec(**config.semantic_codec, **arguments).state_dict()}, folder / "codec.pth")
    _write_s2mel(folder, importlib.import_module(f"{root}.s2mel.modules.commons").MyModel(config.s2mel))
    ranks = "".join(f"{base64.b64encode(bytes([byte])).decode()} {byte}\n" for byte in range(256))
    (folder / "multilingual_zh_ja_yue_char_del.tiktoken").write_text(ranks)


def write_v2(folder: Path, root: str) -> None:
    """Version 2's files, by upstream's classes."""
    config = _write_shared(folder, "2", root)
    gpt = importlib.import_module("indextts.gpt.model_v2").UnifiedVoice(**config.gpt, use_accel=False)
    torch.save(_feeling(gpt.state_dict()), folder / "gpt.pth")
    codec = importlib.import_module("indextts.codec.maskgct_codec").build_semantic_codec(config.semantic_codec)
    safetensors = importlib.import_module("safetensors.torch")
    safetensors.save_model(codec, str(folder / "hf_cache/semantic_codec_model.safetensors"))
    commons = importlib.import_module("indextts.s2mel.modules.commons")
    _write_s2mel(folder, commons.MyModel(config.s2mel, use_gpt_latent=True))
    _write_sentence_pieces(folder / "bpe.model")


def _write_s2mel(folder: Path, s2mel: Any) -> None:
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


def _feeling(state: dict[str, Any]) -> dict[str, Any]:
    """With attention to what came before, and to the emotion above all, as in a trained model."""
    louder = ("emo_layer.weight", "attn.c_attn.weight", "attn.c_proj.weight")
    return {name: value * 30 if name.endswith(louder) else value for name, value in state.items()}


def _write_shared(folder: Path, version: str, root: str) -> Any:
    """What both versions have: config (which is given back), matrices, listening, vocoder, text-emotion model."""
    torch.manual_seed(1)
    for name in ("hf_cache/w2v-bert-2.0", "hf_cache/bigvgan", "qwen0.6bemo4-merge"):
        (folder / name).mkdir(parents=True)
    # Version 2 has a layer behind the GPT whose size is written into its code.
    width = 1280 if version == "2" else 64
    config = {**CONFIG, "gpt": {**CONFIG["gpt"], "model_dim": width, "heads": width // 16}}
    # JSON is YAML, but for the version, which is looked for at the beginning of a line
    (folder / "config.yaml").write_text(json.dumps(config)[:-1] + f',\n"version": {version}}}')
    (folder / "hf_cache/bigvgan/config.json").write_text(json.dumps(_VOCODER))
    torch.save(torch.randn(sum(_EMO_NUM), 192), folder / "feat1.pt")
    # loud enough to be heard through weights that mean nothing
    torch.save(20 * torch.randn(sum(_EMO_NUM), width), folder / "feat2.pt")
    stats = {"mean": torch.zeros(_FEATURES), "var": torch.ones(_FEATURES)}
    torch.save(stats, folder / "wav2vec2bert_stats.pt")
    transformers = importlib.import_module("transformers")
    listening = transformers.Wav2Vec2BertConfig(
        hidden_size=_FEATURES, num_hidden_layers=18, num_attention_heads=2, intermediate_size=32, output_hidden_size=32
    )
    transformers.Wav2Vec2BertModel(listening).save_pretrained(folder / "hf_cache/w2v-bert-2.0")
    extractor = transformers.SeamlessM4TFeatureExtractor(feature_size=80, num_mel_bins=80, sampling_rate=16_000)
    extractor.save_pretrained(folder / "hf_cache/w2v-bert-2.0")
    _write_emotion_model(folder / "qwen0.6bemo4-merge", transformers)
    campplus = importlib.import_module(f"{root}.s2mel.modules.campplus.DTDNN").CAMPPlus(feat_dim=80, embedding_size=192)
    torch.save(campplus.state_dict(), folder / "hf_cache/campplus_cn_common.bin")
    vocoder = importlib.import_module(f"{root}.s2mel.modules.bigvgan.bigvgan")
    hparams = vocoder.load_hparams_from_json(folder / "hf_cache/bigvgan/config.json")
    torch.save({"generator": vocoder.BigVGAN(hparams).state_dict()}, folder / "hf_cache/bigvgan/bigvgan_generator.pt")
    return importlib.import_module("omegaconf").OmegaConf.load(folder / "config.yaml")


def _write_emotion_model(folder: Path, transformers: Any) -> None:
    """A Qwen3 of two tiny layers that writes anything at all, and its tokenizer of single bytes."""
    tokenizers = importlib.import_module("tokenizers")
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        letter: index for index, letter in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet])
    }
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    fast.chat_template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    fast.save_pretrained(folder)
    config = transformers.Qwen3Config(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=4096,
    )  # fmt: skip
    transformers.Qwen3ForCausalLM(config).save_pretrained(folder)
