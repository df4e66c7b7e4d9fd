"""A small net of Stable Diffusion 1.5's block structure with random weights, at 128 x 128 pixels: a diffusers folder,
and the same UNet and decoder as float32 ONNX.

usage: pictures.py FOLDER    writes FOLDER/{diffusers/, onnx/{unet,vae_decoder}.onnx}
"""

import json
import os
import sys

import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

SIZE, CONTEXT = 16, 256


def make_tokenizer(folder):
    """A CLIP tokenizer that knows bytes alone: what a prompt says matters to no weight here."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in kept] + [chr(256 + i) for i in range(256 - len(kept))]
    words = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/vocab.json", "w", encoding="utf8") as file:
        json.dump({word: i for i, word in enumerate(words)}, file)
    with open(f"{folder}/merges.txt", "w", encoding="utf8") as file:
        file.write("#version: 0.2\n")
    end = "<|endoftext|>"
    special = dict(bos_token="<|startoftext|>", eos_token=end, unk_token=end, pad_token=end)
    settings = dict(tokenizer_class="CLIPTokenizer", model_max_length=77, do_lower_case=True, **special)
    with open(f"{folder}/tokenizer_config.json", "w", encoding="utf8") as file:
        json.dump(settings, file)
    with open(f"{folder}/special_tokens_map.json", "w", encoding="utf8") as file:
        json.dump(special, file)
    return len(words)


class Step(torch.nn.Module):
    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, sample, timestep, encoder_hidden_states):
        return self.unet(sample, timestep, encoder_hidden_states, return_dict=False)[0]


class Decode(torch.nn.Module):
    def __init__(self, vae):
        super().__init__()
        self.vae = vae

    def forward(self, latent):
        return self.vae.decode(latent, return_dict=False)[0]


def export(module, inputs, names, path):
    # The TorchScript exporter, as optimum's exports of Stable Diffusion: attention is taken apart, so that every back
    # end has kernels for it.
    torch.onnx.export(module.eval(), inputs, path, input_names=names, output_names=["out"], opset_version=17,
                      do_constant_folding=True, dynamo=False)


def main(folder):
    diffusers, onnx = f"{folder}/diffusers", f"{folder}/onnx"
    os.makedirs(diffusers, exist_ok=True)
    os.makedirs(onnx, exist_ok=True)
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=SIZE, in_channels=4, out_channels=4, layers_per_block=2, block_out_channels=(32, 64, 128, 128),
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3, cross_attention_dim=CONTEXT, attention_head_dim=8,
    ).eval()
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, layers_per_block=2, block_out_channels=(32, 64, 128, 128),
        norm_num_groups=32, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=8 * SIZE,
    ).eval()
    vocab = make_tokenizer(f"{diffusers}/tokenizer")
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=vocab, hidden_size=CONTEXT, intermediate_size=1024, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=77, hidden_act="quick_gelu", bos_token_id=vocab - 2, eos_token_id=vocab - 1,
        pad_token_id=vocab - 1,
    )).eval()
    scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True,
                              set_alpha_to_one=False, steps_offset=1)
    for name, part in (("unet", unet), ("vae", vae), ("text_encoder", text), ("scheduler", scheduler)):
        part.save_pretrained(f"{diffusers}/{name}")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    with open(f"{diffusers}/model_index.json", "w", encoding="utf8") as file:
        json.dump(index, file, indent=1)
    random = torch.Generator().manual_seed(1)
    latent = torch.randn(1, 4, SIZE, SIZE, generator=random)
    words = torch.randn(1, 77, CONTEXT, generator=random)
    with torch.no_grad():
        inputs = (latent, torch.tensor([500.0]), words)
        export(Step(unet), inputs, ["sample", "timestep", "encoder_hidden_states"], f"{onnx}/unet.onnx")
        export(Decode(vae), (latent,), ["latent"], f"{onnx}/vae_decoder.onnx")


if __name__ == "__main__":
    main(sys.argv[1])
