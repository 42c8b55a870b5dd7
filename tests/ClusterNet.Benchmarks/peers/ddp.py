"""PyTorch's DistributedDataParallel over gloo on this machine: the peer of `benchmarks -- cluster`.

Trains the MLP 784-512-512-10 (669,706 parameters) on random images for a fixed number of steps, one BLAS
thread in each process, and prints one JSON object:

    {"world": 2, "batch": 128, "samples_per_second": 8123.4, "loss": 1.93}

`batch` is per process. With --world 1 it is a plain loop without any exchange. Run it with the system's own
Python (Debian: python3-torch); the benchmark leaves it out where that is not installed.
"""
import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import socket
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

SAMPLES = 4096


def optimizer_of(name, parameters):
    if name == "adam":
        return torch.optim.Adam(parameters, lr=1e-3)
    return torch.optim.SGD(parameters, lr=0.05)


def train(rank, world, port, options, results):
    torch.set_num_threads(1)
    torch.manual_seed(7)
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    if world > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = optimizer_of(options.optimizer, model.parameters())
    loss_of = torch.nn.CrossEntropyLoss()

    generator = torch.Generator().manual_seed(rank)
    images = torch.rand(SAMPLES, 784, generator=generator)
    labels = torch.randint(0, 10, (SAMPLES,), generator=generator)

    def step():
        picked = torch.randint(0, SAMPLES, (options.batch,), generator=generator)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(images[picked]), labels[picked])
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(options.warm_up):
        step()
    if world > 1:
        dist.barrier()
    start = time.perf_counter()
    for _ in range(options.steps):
        loss = step()
    if world > 1:
        dist.barrier()
    seconds = time.perf_counter() - start
    if rank == 0:
        results.put({
            "world": world,
            "batch": options.batch,
            "samples_per_second": world * options.batch * options.steps / seconds,
            "loss": loss.item(),
        })


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=int, default=2, help="processes")
    parser.add_argument("--batch", type=int, default=128, help="samples a step in each process")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=50)
    parser.add_argument("--optimizer", choices=("sgd", "adam"), default="sgd")
    options = parser.parse_args()

    context = mp.get_context("spawn")
    results = context.SimpleQueue()
    port = free_port()
    processes = [context.Process(target=train, args=(rank, options.world, port, options, results)) for rank in range(options.world)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode != 0 for process in processes):
        raise SystemExit(f"a process ended with {[process.exitcode for process in processes]}")
    print(json.dumps(results.get()))


if __name__ == "__main__":
    main()
