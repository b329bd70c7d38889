from contextlib import nullcontext
import torch



def has_bf16(device) -> bool:
    "Whether the device computes in bfloat16 natively."
    device = torch.device(device)
    if device.type == "cuda": return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu": return False
    return any(getattr(torch.cpu, f"_is_{x}_supported", lambda: False)() for x in ("avx512_bf16", "amx_tile"))


def precision(device):
    "Autocast to bfloat16 where the device has it; a context that does nothing elsewhere."
    device = torch.device(device)
    return torch.autocast(device.type, torch.bfloat16) if has_bf16(device) else nullcontext()
