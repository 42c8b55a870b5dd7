using System.Diagnostics;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace ClusterNet.Benchmarks.Local;

/// <summary>What clusters are held against: the training loop of TorchSharp's own examples, on one thread, over data that lies in memory as one tensor.</summary>
internal sealed class PlainLoop : IDisposable
{
    private readonly Tensor _pictures;
    private readonly Tensor _labels;

    public PlainLoop(SyntheticImages images)
    {
        using var scope = NewDisposeScope();
        _pictures = tensor(images.Pixels, [SyntheticImages.Count, 1, SyntheticImages.Side, SyntheticImages.Side], ScalarType.Byte).to(float32).div_(255).DetachFromDisposeScope();
        _labels = tensor(images.Labels, [SyntheticImages.Count], ScalarType.Byte).to(int64).DetachFromDisposeScope();
    }

    /// <summary>Trains a new module.</summary>
    /// <returns>training samples per second, and the mean loss of the last step</returns>
    public async Task<Measurement> RunAsync(Workload workload, long steps, int batch = Workload.BatchSize)
    {
        // torch's number of threads, and its dispose scopes, belong to a thread
        var done = new TaskCompletionSource<Measurement>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                done.SetResult(Run(workload, steps, batch));
            }
#pragma warning disable CA1031 // passed on to who waits
            catch (Exception exception)
#pragma warning restore CA1031
            {
                done.SetException(exception);
            }
        });
        thread.Start();
        return await done.Task;
    }

    public void Dispose()
    {
        _pictures.Dispose();
        _labels.Dispose();
    }

    private Measurement Run(Workload workload, long steps, int batch)
    {
        set_num_threads(1);
        using var scope = NewDisposeScope();
        using var module = workload.PlainModel();
        using var optimizer = workload.PlainOptimizer(module);
        module.train();
        var stepsPerEpoch = SyntheticImages.Count / batch;
        var order = arange(SyntheticImages.Count);
        var loss = 0f;
        var watch = Stopwatch.StartNew();
        for (var step = 0L; step < steps; step++)
        {
            if (step % stepsPerEpoch == 0)
            {
                order.Dispose();
                order = randperm(SyntheticImages.Count);
            }
            loss = Step(module, optimizer, order, step % stepsPerEpoch * batch, batch);
        }
        return new Measurement(steps * batch / watch.Elapsed.TotalSeconds, loss);
    }

    private float Step(nn.Module<Tensor, Tensor> module, optim.Optimizer optimizer, Tensor order, long start, int batch)
    {
        using var scope = NewDisposeScope();
        var positions = order.narrow(0, start, batch);
        var features = _pictures.index_select(0, positions);
        var targets = _labels.index_select(0, positions);
        optimizer.zero_grad();
        var loss = F.cross_entropy(module.call(features), targets);
        loss.backward();
        optimizer.step();
        return loss.item<float>();
    }
}

/// <summary>What came of one round of one side.</summary>
/// <param name="SamplesPerSecond">training samples, while steps are computed</param>
/// <param name="Loss">of the last step: says that both sides learn</param>
internal readonly record struct Measurement(double SamplesPerSecond, double Loss);
