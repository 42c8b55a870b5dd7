using System.Runtime.CompilerServices;
using ClusterNet.Cluster;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Training;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;

namespace ClusterNet.Node.Tests.Commands;

/// <summary>A cluster that pretends: a job goes through its epochs as fast as it is watched, unless it is told to stop or to fail.</summary>
internal sealed class FakeCluster : ICluster
{
    private static readonly string[] _parts = ["training", "validation", "test"];
    private static readonly string[] _classes = ["no", "yes"];
    private static readonly float[] _yes = [0.1f, 0.9f];
    private static readonly float[] _no = [0.75f, 0.25f];
    private readonly Dictionary<JobId, JobDetails> _jobs = [];
    private readonly List<ModelVersion> _models = [];

    /// <summary>Epochs that a job takes.</summary>
    public int Epochs { get; init; } = 3;

    /// <summary>Steps in an epoch.</summary>
    public int StepsPerEpoch { get; init; } = 10;

    /// <summary>What a submitted job fails with, at its second epoch.</summary>
    public string? Failure { get; init; }

    /// <summary>Runs before each moment of a watched job.</summary>
    public Func<JobProgress, Task> BeforeEach { get; init; } = _ => Task.CompletedTask;

    /// <summary>A job is accepted once this is done.</summary>
    public Task Preparing { get; init; } = Task.CompletedTask;

    /// <summary>What every call throws.</summary>
    public Exception? Broken { get; init; }

    /// <summary>What was called, in order.</summary>
    public List<string> Calls { get; } = [];

    public TaskCompletionSource Interrupted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public RawSamples? LastSamples { get; private set; }

    public bool IsDisposed { get; private set; }

    public void Add(JobDetails job) => _jobs[job.Summary.Job] = job;

    public void Add(ModelVersion version) => _models.Add(version);

    public static ModelVersion Version(string model, int number) => new(
        new ModelVersionId(model, number),
        new JobId($"{model}-{number}"),
        120,
        1,
        new ModelSpec("mlp", new Dictionary<string, SettingValue>(), new InitialisationSpec()),
        new DataSignature(LearningTask.Classification, ["a", "b"], [2], _classes, "target"),
        "f00d",
        1234,
        new string('a', 64),
        Metrics(),
        new DateTimeOffset(2025, 3, 1, 12, 0, 0, TimeSpan.Zero));

    private readonly Dictionary<string, TrafficSpec> _traffic = [];
    private readonly Dictionary<(string Model, string Label), int> _labels = [];

    public async Task<JobId> SubmitAsync(JobSpec spec, CancellationToken cancel = default)
    {
        await Preparing.WaitAsync(cancel);
        Call($"submit {spec.Name}");
        if (spec.Model.Settings.ContainsKey("wrong"))
            throw new InputException("model.wrong", "no setting of this name");
        var id = new JobId($"{spec.Name}-1");
        _jobs[id] = Details(id, spec, JobStatus.Preparing, 0);
        return id;
    }

    public Task ResumeAsync(JobId job, CancellationToken cancel = default)
    {
        Call($"resume {job}");
        var details = Find(job);
        if (details.Progress.Status != JobStatus.Interrupted)
            throw new InputException("JOB", $"'{job}' is {details.Progress.Status}, not interrupted");
        return Task.CompletedTask;
    }

    public Task InterruptAsync(JobId job, CancellationToken cancel = default)
    {
        Call($"interrupt {job}");
        Interrupted.TrySetResult();
        return Task.CompletedTask;
    }

    public Task CancelAsync(JobId job, CancellationToken cancel = default)
    {
        Call($"cancel {job}");
        _ = Find(job);
        return Task.CompletedTask;
    }

    public async IAsyncEnumerable<JobProgress> WatchAsync(JobId job, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        Call($"watch {job}");
        var spec = Find(job).Spec;
        for (var epoch = 0; epoch <= Epochs; epoch++)
        {
            var status = epoch == 0 ? JobStatus.Preparing : Interrupted.Task.IsCompleted ? JobStatus.Interrupted
                : Failure is not null && epoch == 2 ? JobStatus.Failed : epoch == Epochs ? JobStatus.Completed : JobStatus.Training;
            _jobs[job] = Details(job, spec, status, epoch);
            await BeforeEach(_jobs[job].Progress);
            cancel.ThrowIfCancellationRequested();
            yield return _jobs[job].Progress;
            if (status is JobStatus.Interrupted or JobStatus.Failed)
                yield break;
        }
    }

    public Task<IReadOnlyList<JobSummary>> JobsAsync(CancellationToken cancel = default)
    {
        Call("jobs");
        return Task.FromResult<IReadOnlyList<JobSummary>>([.. _jobs.Values.Select(job => job.Summary)]);
    }

    public Task<JobDetails> JobAsync(JobId job, CancellationToken cancel = default)
    {
        Call($"job {job}");
        return Task.FromResult(Find(job));
    }

    public Task<IReadOnlyList<ModelVersion>> ModelsAsync(CancellationToken cancel = default)
    {
        Call("models");
        return Task.FromResult<IReadOnlyList<ModelVersion>>([.. _models]);
    }

    public Task<ModelVersion> ModelAsync(string model, int? version, CancellationToken cancel = default)
    {
        Call($"model {model} {version}");
        return Task.FromResult(_models.LastOrDefault(item => item.Id.Model == model && (version is null || item.Id.Version == version))
            ?? throw new InputException([new Fault("MODEL", $"no model '{model}'") { Found = model, Candidates = [.. _models.Select(item => item.Id.Model)] }]));
    }

    public Task<ModelVersion> LabelledModelAsync(string model, string label, CancellationToken cancel = default)
    {
        Call($"labelled {model} {label}");
        return _labels.TryGetValue((model, label), out var number)
            ? ModelAsync(model, number, cancel)
            : throw new InputException([new Fault("version", $"no version of model '{model}' has the label '{label}'") { Found = label, Candidates = [.. _labels.Keys.Select(key => key.Label)] }]);
    }

    public Task LabelModelAsync(string model, string label, int? version, CancellationToken cancel = default)
    {
        Call($"label {model} {label} {version}");
        if (version is { } number)
            _labels[(model, label)] = number;
        else
            _labels.Remove((model, label));
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<ModelEntry>> ModelEntriesAsync(CancellationToken cancel = default) => Task.FromResult<IReadOnlyList<ModelEntry>>(
    [
        .. _models.GroupBy(item => item.Id.Model).Select(group => new ModelEntry(
            group.Key,
            [.. group.Select(item => item.Id.Version)],
            _labels.Where(label => label.Key.Model == group.Key).ToDictionary(label => label.Key.Label, label => label.Value),
            _traffic.GetValueOrDefault(group.Key, TrafficSpec.Default))),
    ]);

    public Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default)
    {
        Call($"traffic {model}");
        if (TrafficRules.Faults(traffic, ModelEntriesAsync(cancel).Result.Single(entry => entry.Model == model)) is { Count: > 0 } faults)
            throw new InputException(faults);
        _traffic[model] = traffic;
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<ModelVersionId>> DeleteModelAsync(string model, int? version, CancellationToken cancel = default)
    {
        Call($"delete {model} {version}");
        var ids = _models.Where(item => item.Id.Model == model && (version is null || item.Id.Version == version)).Select(item => item.Id).ToArray();
        _models.RemoveAll(item => ids.Contains(item.Id));
        return Task.FromResult<IReadOnlyList<ModelVersionId>>(ids);
    }

    public Task<Prediction> PredictAsync(ModelVersionId version, RawSamples samples, CancellationToken cancel = default)
    {
        Call($"predict {version}");
        LastSamples = samples;
        return Task.FromResult(new Prediction(version, _classes, Enumerable.Range(0, samples.Count).SelectMany(i => i % 2 == 0 ? _yes : _no).ToArray()));
    }

    public Task<IReadOnlyDictionary<string, double>> EvaluateAsync(ModelVersionId version, RawSamples samples, CancellationToken cancel = default)
    {
        Call($"evaluate {version}");
        LastSamples = samples;
        return Task.FromResult(Metrics()["test"]);
    }

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }

    public JobDetails Details(JobId id, JobSpec spec, JobStatus status, int epochs)
    {
        var steps = (long)epochs * StepsPerEpoch;
        var total = (long)Epochs * StepsPerEpoch;
        var records = Enumerable.Range(1, epochs).Select(epoch => Epoch(epoch, status)).ToArray();
        var version = status == JobStatus.Completed ? new ModelVersionId(spec.Name, 1) : (ModelVersionId?)null;
        return new JobDetails(
            new JobSummary(id, status, steps, total, new DateTimeOffset(2025, 3, 1, 12, 0, 0, TimeSpan.Zero), version),
            spec,
            new JobProgress(id, status, steps, total, epochs, Epochs, steps == 0 ? null : Loss(steps), steps == 0 ? 0 : 12_345.6, records.LastOrDefault(), status == JobStatus.Failed ? Failure : null),
            records,
            [.. Enumerable.Range(1, (int)steps).Select(step => new LossPoint(step, Loss(step)))],
            status == JobStatus.Preparing ? [] : [steps],
            version is { } registered ? new JobResult(registered, steps, epochs, 12_345.6, new string('a', 64), steps, Metrics()) : null);
    }

    private static Dictionary<string, IReadOnlyDictionary<string, double>> Metrics() => _parts.ToDictionary(
        part => part,
        IReadOnlyDictionary<string, double> (_) => new Dictionary<string, double> { ["loss"] = 0.0712, ["accuracy"] = 0.9765, ["roc-auc"] = 0.9951, ["f1-macro"] = 0.97, ["recall/1"] = 0.98 });

    private EpochRecord Epoch(int epoch, JobStatus _) => new(
        epoch,
        (long)epoch * StepsPerEpoch,
        Loss((long)epoch * StepsPerEpoch),
        new Dictionary<string, double> { ["loss"] = Validation(epoch), ["accuracy"] = 0.5 + 0.45 * epoch / Epochs },
        Enumerable.Range(1, epoch).All(earlier => Validation(earlier) >= Validation(epoch)));

    private double Validation(int epoch) => 0.08 + 0.6 * Math.Exp(-6.0 * epoch / Epochs) + 0.08 * Math.Max(0, (double)epoch / Epochs - 0.6) + 0.004 * Math.Sin(epoch * 12.9898);

    private double Loss(long step) => 0.05 + 0.65 * Math.Exp(-6.0 * step / (Epochs * StepsPerEpoch)) * (1 + 0.25 * Math.Sin(step * 78.233));

    private JobDetails Find(JobId job) => _jobs.TryGetValue(job, out var details) ? details : throw new InputException("JOB", $"no job '{job}'");

    private void Call(string what)
    {
        if (Broken is { } error)
            throw error;
        Calls.Add(what);
    }
}
