using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Akka.Actor;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Data;

namespace ClusterNet.Cluster.Access;

/// <summary>What a program asks of a cluster, as messages: the same from within and from outside. How they get there is the road's affair.</summary>
public abstract class ActorCluster : ICluster
{
    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(30);

    // whoever is asked may die with the question: it is asked again, until another has taken its place
    private static readonly TimeSpan OnceTimeout = TimeSpan.FromSeconds(5);
    private const int AskedAtOnce = 16;
    private static readonly TimeSpan WatchPatience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan WatchInterval = TimeSpan.FromMilliseconds(200);

    private readonly IClusterRoad _road;

    /// <param name="road">to the access actor of a node</param>
    private protected ActorCluster(IClusterRoad road) => _road = road;

    /// <inheritdoc/>
    public async Task<JobId> SubmitAsync(JobSpec spec, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        using var activity = Tracing.Training.StartActivity(TelemetryNames.Activities.Submit);
        var prepared = await AskLongAsync(new WorkerProtocol.Commands.Prepare(spec), cancel).ConfigureAwait(false);
        if (prepared is WorkerProtocol.Replies.Rejected rejected)
            throw new InputException(rejected.Faults);
        var allocated = await AskAsync<TrainingProtocol.Replies.Allocated>(new TrainingProtocol.Commands.Allocate(spec.Name) { Request = Guid.NewGuid().ToString("N") }, cancel).ConfigureAwait(false);
        var plan = Expect<WorkerProtocol.Replies.Prepared>(prepared).Plan;
        activity?.SetTag(TelemetryNames.Tags.Job, allocated.Job.Value);
        await AskAsync<TrainingProtocol.Replies.Accepted>(new TrainingProtocol.Commands.Submit(allocated.Job, spec, plan) { Trace = activity?.Id }, cancel).ConfigureAwait(false);
        return allocated.Job;
    }

    /// <inheritdoc/>
    public Task ResumeAsync(JobId job, CancellationToken cancel = default) =>
        CommandAsync(job, new TrainingProtocol.Commands.Resume(job), status => status is JobStatus.Preparing or JobStatus.Training, cancel);

    /// <inheritdoc/>
    public async Task InterruptAsync(JobId job, CancellationToken cancel = default)
    {
        await RequireAsync(job, cancel).ConfigureAwait(false);
        // to come to the next step and save it may take long; asking again changes nothing
        while (true)
        {
            try
            {
                Expect<TrainingProtocol.Replies.Accepted>(await _road.AskAsync(new TrainingProtocol.Commands.Interrupt(job), AskTimeout, cancel).ConfigureAwait(false));
                return;
            }
            catch (AskTimeoutException)
            {
                cancel.ThrowIfCancellationRequested();
            }
        }
    }

    /// <inheritdoc/>
    public Task CancelAsync(JobId job, CancellationToken cancel = default) =>
        CommandAsync(job, new TrainingProtocol.Commands.Cancel(job), status => status == JobStatus.Cancelled, cancel);

    /// <inheritdoc/>
    public async IAsyncEnumerable<JobProgress> WatchAsync(JobId job, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        await RequireAsync(job, cancel).ConfigureAwait(false);
        while (true)
        {
            var progress = Expect<JobProgress>(await AskAsync(new TrainingProtocol.Queries.GetProgress(job), WatchPatience, cancel).ConfigureAwait(false));
            yield return progress;
            if (progress.Status is not (JobStatus.Preparing or JobStatus.Training))
                yield break;
            await Task.Delay(WatchInterval, cancel).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<JobSummary>> JobsAsync(CancellationToken cancel = default)
    {
        var jobs = await AskAsync<TrainingProtocol.Replies.Jobs>(new TrainingProtocol.Queries.ListJobs(), cancel).ConfigureAwait(false);
        var summaries = new ConcurrentDictionary<JobId, JobSummary>(jobs.AtRest.Select(summary => KeyValuePair.Create(summary.Job, summary)));
        await Parallel.ForEachAsync(jobs.Ids.Where(id => !summaries.ContainsKey(id)), new ParallelOptions { MaxDegreeOfParallelism = AskedAtOnce, CancellationToken = cancel }, async (id, cancel) =>
        {
            // an id is given out just before its job is submitted: in between there is nothing to tell
            if (await AskAsync(new TrainingProtocol.Queries.GetSummary(id), AskTimeout, cancel).ConfigureAwait(false) is JobSummary summary)
                summaries[id] = summary;
        }).ConfigureAwait(false);
        return [.. jobs.Ids.Where(summaries.ContainsKey).Select(id => summaries[id])];
    }

    /// <inheritdoc/>
    public async Task<JobDetails> JobAsync(JobId job, CancellationToken cancel = default)
    {
        await RequireAsync(job, cancel).ConfigureAwait(false);
        return Expect<JobDetails>(await AskAsync(new TrainingProtocol.Queries.GetDetails(job), AskTimeout, cancel).ConfigureAwait(false));
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ModelVersion>> ModelsAsync(CancellationToken cancel = default) =>
        (await AskAsync<ModelProtocol.Replies.Models>(new ModelProtocol.Queries.List(), cancel).ConfigureAwait(false)).Versions;

    /// <inheritdoc/>
    public async Task<ModelVersion> ModelAsync(string model, int? version, CancellationToken cancel = default) =>
        await AskAsync(new ModelProtocol.Queries.Find(model, version), AskTimeout, cancel).ConfigureAwait(false) switch
        {
            ModelProtocol.Replies.Found found => found.Stored.Version,
            ModelProtocol.Replies.Unknown unknown => throw new InputException([unknown.Fault]),
            var other => throw Failure(other),
        };

    /// <inheritdoc/>
    public async Task<ModelVersion> LabelledModelAsync(string model, string label, CancellationToken cancel = default) =>
        await AskAsync(new ModelProtocol.Queries.Find(model, null) { Label = label }, AskTimeout, cancel).ConfigureAwait(false) switch
        {
            ModelProtocol.Replies.Found found => found.Stored.Version,
            ModelProtocol.Replies.Unknown unknown => throw new InputException([unknown.Fault]),
            var other => throw Failure(other),
        };

    /// <inheritdoc/>
    public Task LabelModelAsync(string model, string label, int? version, CancellationToken cancel = default) =>
        ChangeAsync<ModelProtocol.Replies.Labelled>(new ModelProtocol.Commands.SetLabel(model, label, version), cancel);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ModelEntry>> ModelEntriesAsync(CancellationToken cancel = default) =>
        (await AskAsync<ModelProtocol.Replies.Table>(new ModelProtocol.Queries.GetTable(-1), cancel).ConfigureAwait(false)).Models!;

    /// <inheritdoc/>
    public Task SetTrafficAsync(string model, TrafficSpec traffic, CancellationToken cancel = default) =>
        ChangeAsync<ModelProtocol.Replies.TrafficSet>(new ModelProtocol.Commands.SetTraffic(model, traffic), cancel);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ModelVersionId>> DeleteModelAsync(string model, int? version, CancellationToken cancel = default) =>
        await AskOnceAsync(new ModelProtocol.Commands.Delete(model, version), cancel).ConfigureAwait(false) switch
        {
            ModelProtocol.Replies.Deleted deleted => deleted.Versions,
            ModelProtocol.Replies.Unknown unknown => throw new InputException([unknown.Fault]),
            ModelProtocol.Replies.Refused refused => throw new InputException(refused.Faults),
            var other => throw Failure(other),
        };

    /// <inheritdoc/>
    public async Task<Prediction> PredictAsync(ModelVersionId version, RawSamples samples, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(samples);
        using var activity = Tracing.Serving.StartActivity(TelemetryNames.Activities.Predict)?.SetTag(TelemetryNames.Tags.Model, version.ToString());
        // a question that is too large for a message goes in pieces, see PieceSenderActor; an answer that could be is asked for in parts
        var mostRows = _road.LeavesNode && samples.Count > SampleBatches.SmallCount
            ? SampleBatches.MostRows((await ModelAsync(version.Model, version.Version, cancel).ConfigureAwait(false)).Signature.Classes.Count)
            : int.MaxValue;
        if (!_road.LeavesNode || SampleBatches.Fit(samples, mostRows))
            return await PredictOnceAsync(version, samples, activity?.Id, cancel).ConfigureAwait(false);
        // what a model says of a sample does not depend on what it was asked with
        var outputs = new List<float>();
        Prediction? last = null;
        foreach (var (first, batch) in SampleBatches.Of(samples, mostRows))
        {
            try
            {
                last = await PredictOnceAsync(version, batch, activity?.Id, cancel).ConfigureAwait(false);
            }
            catch (InputException error) when (first > 0)
            {
                throw new InputException([.. error.Faults.Select(fault => SampleBatches.Renumber(fault, first))]);
            }
            outputs.AddRange(last.Outputs.Span);
        }
        return last! with { Outputs = outputs.ToArray() };
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyDictionary<string, double>> EvaluateAsync(ModelVersionId version, RawSamples samples, CancellationToken cancel = default)
    {
        using var activity = Tracing.Serving.StartActivity(TelemetryNames.Activities.Predict)?.SetTag(TelemetryNames.Tags.Model, version.ToString());
        ArgumentNullException.ThrowIfNull(samples);
        var query = new ServingProtocol.Queries.Evaluate(version, samples) { Trace = activity?.Id };
        return !_road.LeavesNode || SampleBatches.BytesOf(samples) <= MostBytesEvaluated
            ? Answered<ServingProtocol.Replies.EvaluationDone>(await AskLongAsync(query, cancel).ConfigureAwait(false)).Metrics
            : await EvaluateInPartsAsync(query, cancel).ConfigureAwait(false);
    }

    /// <summary>What no request takes at once: parts of whole chunks, so that their sums together are those of all samples, to the bit.</summary>
    private async Task<IReadOnlyDictionary<string, double>> EvaluateInPartsAsync(ServingProtocol.Queries.Evaluate query, CancellationToken cancel)
    {
        var signature = (await ModelAsync(query.Version.Model, query.Version.Version, cancel).ConfigureAwait(false)).Signature;
        var mostRows = (int)Math.Min(int.MaxValue, MostBytesEvaluated / MetricAccumulator.BytesOfSample(signature.Task, signature.Classes.Count));
        MetricAccumulator? whole = null;
        foreach (var (first, part) in SampleBatches.OfChunks(query.Samples, MostBytesEvaluated, mostRows))
        {
            try
            {
                var done = Answered<ServingProtocol.Replies.EvaluationDone>(await AskLongAsync(query with { Samples = part, WantsSums = true }, cancel).ConfigureAwait(false));
                var sums = MetricAccumulator.FromBytes(done.Sums.Span);
                if (whole is null)
                    whole = sums;
                else
                    whole.Merge(sums);
            }
            catch (InputException error) when (first > 0)
            {
                throw new InputException([.. error.Faults.Select(fault => SampleBatches.Renumber(fault, first))]);
            }
        }
        return whole!.Report().Values;
    }

    /// <summary>The most bytes of samples that are evaluated by one request, about.</summary>
    internal long MostBytesEvaluated { get; set; } = 8 << 20;

    /// <summary>The nodes as one of them sees them.</summary>
    public async Task<IReadOnlyList<NodeStatus>> MembersAsync(CancellationToken cancel = default) =>
        (await AskAsync<AccessProtocol.Replies.Members>(new AccessProtocol.Queries.GetMembers(), cancel).ConfigureAwait(false)).Nodes;

    /// <inheritdoc/>
    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    private async Task ChangeAsync<T>(ModelProtocol.IModelMessage command, CancellationToken cancel)
    {
        switch (await AskAsync(command, AskTimeout, cancel).ConfigureAwait(false))
        {
            case T:
                return;
            case ModelProtocol.Replies.Unknown unknown:
                throw new InputException([unknown.Fault]);
            case ModelProtocol.Replies.Refused refused:
                throw new InputException(refused.Faults);
            case var other:
                throw Failure(other);
        }
    }

    private async Task<Prediction> PredictOnceAsync(ModelVersionId version, RawSamples samples, string? trace, CancellationToken cancel) => Answered<Prediction>(
        await AskLongAsync(new ServingProtocol.Queries.Predict(version, samples) { Trace = trace }, cancel).ConfigureAwait(false));

    /// <summary>Tells a coordinator what it refuses the second time; where its answer is lost, the job's status tells.</summary>
    private async Task CommandAsync(JobId job, TrainingProtocol.IJobMessage command, Func<JobStatus, bool> isDone, CancellationToken cancel)
    {
        await RequireAsync(job, cancel).ConfigureAwait(false);
        for (var left = AskTimeout; ; left -= OnceTimeout)
        {
            try
            {
                Expect<TrainingProtocol.Replies.Accepted>(await _road.AskAsync(command, OnceTimeout, cancel).ConfigureAwait(false));
                return;
            }
            catch (AskTimeoutException exception)
            {
                cancel.ThrowIfCancellationRequested();
                if (isDone((await AskAsync<JobProgress>(new TrainingProtocol.Queries.GetProgress(job), cancel).ConfigureAwait(false)).Status))
                    return;
                if (left <= OnceTimeout)
                    throw NoAnswer(command, AskTimeout, exception);
            }
        }
    }

    /// <summary>Asking a coordinator starts it: that must not happen for a name that was mistyped.</summary>
    private async Task RequireAsync(JobId job, CancellationToken cancel)
    {
        if (!(await AskAsync<TrainingProtocol.Replies.Known>(new TrainingProtocol.Queries.HasJob(job), cancel).ConfigureAwait(false)).IsKnown)
        {
            var ids = (await AskAsync<TrainingProtocol.Replies.Jobs>(new TrainingProtocol.Queries.ListJobs(), cancel).ConfigureAwait(false)).Ids;
            throw new InputException([new Fault("job", ids.Count == 0 ? $"there is no job '{job}', and no other one in {_road.Place}" : $"there is no job '{job}'; 'clusternet jobs list' names those there are")
            {
                Found = job.Value,
                Candidates = [.. ids.Select(id => id.Value)],
            }]);
        }
    }

    private async Task<T> AskAsync<T>(object message, CancellationToken cancel) =>
        Expect<T>(await AskAsync(message, AskTimeout, cancel).ConfigureAwait(false));

    /// <summary>Asks what asking twice does not change, again and again: who dies takes the questions in its mailbox along.</summary>
    private async Task<object> AskAsync(object message, TimeSpan patience, CancellationToken cancel)
    {
        for (var left = patience; ; left -= OnceTimeout)
        {
            try
            {
                return await _road.AskAsync(message, OnceTimeout, cancel).ConfigureAwait(false);
            }
            catch (AskTimeoutException exception)
            {
                cancel.ThrowIfCancellationRequested();
                if (left <= OnceTimeout)
                    throw NoAnswer(message, patience, exception);
            }
        }
    }

    private async Task<object> AskOnceAsync(object message, CancellationToken cancel)
    {
        try
        {
            return await _road.AskAsync(message, AskTimeout, cancel).ConfigureAwait(false);
        }
        catch (AskTimeoutException exception)
        {
            throw NoAnswer(message, AskTimeout, exception);
        }
    }

    private ClusterException NoAnswer(object message, TimeSpan patience, AskTimeoutException exception) =>
        new($"no answer to {message.GetType().Name} within {patience.TotalSeconds:0} s from {_road.Place}; the log of the node says more", exception);

    /// <summary>Asks what changes nothing and may take long: who asks decides how long to wait, as long as somebody is at it.</summary>
    private async Task<object> AskLongAsync(object question, CancellationToken cancel)
    {
        try
        {
            return await _road.AskLongAsync(question, cancel).ConfigureAwait(false);
        }
        catch (AskTimeoutException exception)
        {
            throw new ClusterException($"nobody in {_road.Place} is at work on {question.GetType().Name} any more, and asking again did not help; the log of the node says more", exception);
        }
    }

    private static T Expect<T>(object answer) => answer switch
    {
        T expected => expected,
        AccessProtocol.Replies.Unavailable unavailable => throw new ClusterException(unavailable.Reason),
        TrainingProtocol.Replies.Refused refused => throw new InputException(refused.Faults),
        _ => throw Failure(answer),
    };

    private static T Answered<T>(object answer) => answer is ServingProtocol.Replies.PredictFailed failed
        ? throw (failed.Kind is ServingProtocol.FailureKind.InvalidInput or ServingProtocol.FailureKind.UnknownModel
            ? new InputException(failed.Faults)
            : new ClusterException(string.Join("; ", failed.Faults)))
        : Expect<T>(answer);

    private static ClusterException Failure(object answer) => answer switch
    {
        Status.Failure { Cause: ClusterException failure } => failure,
        Status.Failure failure => new ClusterException(failure.Cause.Message, failure.Cause),
        _ => new ClusterException($"unexpected answer {answer.GetType().Name}; the node's log says more"),
    };
}
