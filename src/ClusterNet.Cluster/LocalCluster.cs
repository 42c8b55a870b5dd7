using System.Runtime.CompilerServices;
using Akka.Actor;
using Akka.Cluster.Hosting;
using Akka.Hosting;
using Akka.Remote.Hosting;
using ClusterNet.Cluster.Hosting;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Cluster.Serialization;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Telemetry;
using ClusterNet.Cluster.Training;
using ClusterNet.Cluster.Workers;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Data;
using ClusterNet.Learning.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ClusterNet.Cluster;

/// <summary>A whole cluster in this process: one node on loopback with every role, its store a SQLite file in a data directory.</summary>
public sealed class LocalCluster : ICluster
{
    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan QueryTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan WatchInterval = TimeSpan.FromMilliseconds(200);

    private readonly IHost _host;
    private readonly SqliteStore _store;
    private readonly ActorRegistry _actors;

    private LocalCluster(IHost host, SqliteStore store)
    {
        _host = host;
        _store = store;
        _actors = host.Services.GetRequiredService<ActorRegistry>();
        System = host.Services.GetRequiredService<ActorSystem>();
    }

    /// <summary>The node's actor system.</summary>
    public ActorSystem System { get; }

    private IActorRef Jobs => _actors.Get<JobRegion>();

    private IActorRef Models => _actors.Get<ModelRegistry>();

    /// <summary>Starts the node and waits until it is up.</summary>
    /// <param name="dataDirectory">where the store is; made if it is not there</param>
    /// <param name="catalog">the models that jobs may name</param>
    /// <param name="logging">where the node's log goes; nowhere where null</param>
    /// <param name="cancel">gives up</param>
    /// <exception cref="ClusterException">the data directory is in use or can't be used</exception>
    public static async Task<LocalCluster> StartAsync(
        string dataDirectory, ModelCatalog catalog, Action<ILoggingBuilder>? logging = null, CancellationToken cancel = default) =>
        await StartAsync(dataDirectory, catalog, logging, string.Empty, cancel).ConfigureAwait(false);

    /// <summary>The same, with HOCON that goes before all that is generated.</summary>
    internal static async Task<LocalCluster> StartAsync(
        string dataDirectory, ModelCatalog catalog, Action<ILoggingBuilder>? logging, string overrides, CancellationToken cancel)
    {
        var store = SqliteStore.Open(dataDirectory);
        try
        {
            var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
            builder.Logging.ClearProviders();
            logging?.Invoke(builder.Logging);
            builder.Services.AddSingleton<IHostLifetime, ProgramLifetime>();
            builder.Services.AddAkka(NodeConfiguration.SystemName, (akka, services) => akka
                .AddHocon(NodeConfiguration.Cluster, HoconAddMode.Prepend)
                .AddHocon(SerializationConfiguration.Config, HoconAddMode.Prepend)
                .AddHocon(NodeConfiguration.Sqlite(store.ConnectionString), HoconAddMode.Append)
                .AddHocon(overrides, HoconAddMode.Prepend)
                .ConfigureLoggers(loggers =>
                {
                    loggers.ClearLoggers();
                    loggers.LogLevel = Akka.Event.LogLevel.InfoLevel;
                    loggers.AddLoggerFactory();
                })
                .WithRemoting("127.0.0.1", 0)
                .WithClustering(new ClusterOptions { Roles = [Roles.Coordinator, Roles.Parameters, Roles.Worker, Roles.Inference] })
                .AddModelRegistry(Roles.Coordinator)
                .AddParameters()
                .AddTraining(TimeProvider.System)
                .AddWorkers(catalog)
                .AddServing(catalog)
                .AddTelemetry()
                .AddStartup(JoinItselfAsync));
            var host = builder.Build();
            await host.StartAsync(cancel).ConfigureAwait(false);
            return new LocalCluster(host, store);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<JobId> SubmitAsync(JobSpec spec, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        using var activity = Tracing.Training.StartActivity(TelemetryNames.Activities.Submit);
        // reading the data may take long: who submits decides how long to wait
        var prepared = await AskAsync(_actors.Get<WorkerHost>(), new WorkerProtocol.Commands.Prepare(spec), Timeout.InfiniteTimeSpan, cancel).ConfigureAwait(false);
        if (prepared is WorkerProtocol.Replies.Rejected rejected)
            throw new InputException(rejected.Faults);
        var allocated = await AskAsync<TrainingProtocol.Replies.Allocated>(_actors.Get<JobDirectory>(), new TrainingProtocol.Commands.Allocate(spec.Name), cancel).ConfigureAwait(false);
        var plan = Expect<WorkerProtocol.Replies.Prepared>(prepared).Plan;
        activity?.SetTag(TelemetryNames.Tags.Job, allocated.Job.Value);
        await AskAsync<TrainingProtocol.Replies.Accepted>(Jobs, new TrainingProtocol.Commands.Submit(allocated.Job, spec, plan) { Trace = activity?.Id }, cancel).ConfigureAwait(false);
        return allocated.Job;
    }

    /// <inheritdoc/>
    public Task ResumeAsync(JobId job, CancellationToken cancel = default) =>
        CommandAsync(job, new TrainingProtocol.Commands.Resume(job), AskTimeout, cancel);

    /// <inheritdoc/>
    public Task InterruptAsync(JobId job, CancellationToken cancel = default) =>
        CommandAsync(job, new TrainingProtocol.Commands.Interrupt(job), Timeout.InfiniteTimeSpan, cancel);

    /// <inheritdoc/>
    public Task CancelAsync(JobId job, CancellationToken cancel = default) =>
        CommandAsync(job, new TrainingProtocol.Commands.Cancel(job), AskTimeout, cancel);

    /// <inheritdoc/>
    public async IAsyncEnumerable<JobProgress> WatchAsync(JobId job, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        await RequireAsync(job, cancel).ConfigureAwait(false);
        while (true)
        {
            var progress = Expect<JobProgress>(await QueryAsync(new TrainingProtocol.Queries.GetProgress(job), cancel).ConfigureAwait(false));
            yield return progress;
            if (progress.Status is not (JobStatus.Preparing or JobStatus.Training))
                yield break;
            await Task.Delay(WatchInterval, cancel).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<JobSummary>> JobsAsync(CancellationToken cancel = default)
    {
        var ids = await IdsAsync(cancel).ConfigureAwait(false);
        var summaries = new List<JobSummary>();
        foreach (var id in ids)
        {
            // an id is given out just before its job is submitted: in between there is nothing to tell
            if (await QueryAsync(new TrainingProtocol.Queries.GetDetails(id), cancel).ConfigureAwait(false) is JobDetails details)
                summaries.Add(details.Summary);
        }
        return summaries;
    }

    /// <inheritdoc/>
    public async Task<JobDetails> JobAsync(JobId job, CancellationToken cancel = default)
    {
        await RequireAsync(job, cancel).ConfigureAwait(false);
        return Expect<JobDetails>(await QueryAsync(new TrainingProtocol.Queries.GetDetails(job), cancel).ConfigureAwait(false));
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ModelVersion>> ModelsAsync(CancellationToken cancel = default) =>
        (await AskAsync<ModelProtocol.Replies.Models>(Models, new ModelProtocol.Queries.List(), cancel).ConfigureAwait(false)).Versions;

    /// <inheritdoc/>
    public async Task<ModelVersion> ModelAsync(string model, int? version, CancellationToken cancel = default) =>
        await AskAsync(Models, new ModelProtocol.Queries.Find(model, version), AskTimeout, cancel).ConfigureAwait(false) switch
        {
            ModelProtocol.Replies.Found found => found.Stored.Version,
            ModelProtocol.Replies.Unknown unknown => throw new InputException([unknown.Fault]),
            var other => throw Failure(other),
        };

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ModelVersionId>> DeleteModelAsync(string model, int? version, CancellationToken cancel = default) =>
        await AskAsync(Models, new ModelProtocol.Commands.Delete(model, version), AskTimeout, cancel).ConfigureAwait(false) switch
        {
            ModelProtocol.Replies.Deleted deleted => deleted.Versions,
            ModelProtocol.Replies.Unknown unknown => throw new InputException([unknown.Fault]),
            var other => throw Failure(other),
        };

    /// <inheritdoc/>
    public async Task<Prediction> PredictAsync(ModelVersionId version, RawSamples samples, CancellationToken cancel = default)
    {
        using var activity = Tracing.Serving.StartActivity(TelemetryNames.Activities.Predict)?.SetTag(TelemetryNames.Tags.Model, version.ToString());
        var query = new ServingProtocol.Queries.Predict(version, samples) { Trace = activity?.Id };
        return Answered<Prediction>(await AskAsync(_actors.Get<InferenceHost>(), query, Timeout.InfiniteTimeSpan, cancel).ConfigureAwait(false));
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyDictionary<string, double>> EvaluateAsync(ModelVersionId version, RawSamples samples, CancellationToken cancel = default)
    {
        using var activity = Tracing.Serving.StartActivity(TelemetryNames.Activities.Predict)?.SetTag(TelemetryNames.Tags.Model, version.ToString());
        var query = new ServingProtocol.Queries.Evaluate(version, samples) { Trace = activity?.Id };
        return Answered<ServingProtocol.Replies.EvaluationDone>(await AskAsync(_actors.Get<InferenceHost>(), query, Timeout.InfiniteTimeSpan, cancel).ConfigureAwait(false)).Metrics;
    }

    /// <summary>Stops the node.</summary>
    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync().ConfigureAwait(false);
        _host.Dispose();
        _store.Dispose();
    }

    private static async Task JoinItselfAsync(ActorSystem system, IActorRegistry registry)
    {
        var cluster = Akka.Cluster.Cluster.Get(system);
        using var patience = new CancellationTokenSource(AskTimeout);
        await cluster.JoinAsync(cluster.SelfAddress, patience.Token).ConfigureAwait(false);
    }

    private async Task CommandAsync(JobId job, TrainingProtocol.IJobMessage command, TimeSpan patience, CancellationToken cancel)
    {
        await RequireAsync(job, cancel).ConfigureAwait(false);
        Expect<TrainingProtocol.Replies.Accepted>(await AskAsync(Jobs, command, patience, cancel).ConfigureAwait(false));
    }

    private async Task<IReadOnlyList<JobId>> IdsAsync(CancellationToken cancel) =>
        (await AskAsync<TrainingProtocol.Replies.Jobs>(_actors.Get<JobDirectory>(), new TrainingProtocol.Queries.ListJobs(), cancel).ConfigureAwait(false)).Ids;

    /// <summary>Asking a coordinator starts it: that must not happen for a name that was mistyped.</summary>
    private async Task RequireAsync(JobId job, CancellationToken cancel)
    {
        var ids = await IdsAsync(cancel).ConfigureAwait(false);
        if (!ids.Contains(job))
        {
            throw new InputException([new Fault("job", ids.Count == 0 ? $"there is no job '{job}', and no other one in this data directory" : $"there is no job '{job}'; 'clusternet jobs list' names those there are")
            {
                Found = job.Value,
                Candidates = [.. ids.Select(id => id.Value)],
            }]);
        }
    }

    private static async Task<T> AskAsync<T>(ICanTell target, object message, CancellationToken cancel) =>
        Expect<T>(await AskAsync(target, message, AskTimeout, cancel).ConfigureAwait(false));

    private static async Task<object> AskAsync(ICanTell target, object message, TimeSpan patience, CancellationToken cancel)
    {
        try
        {
            return await target.Ask<object>(message, patience, cancel).ConfigureAwait(false);
        }
        catch (AskTimeoutException exception)
        {
            throw new ClusterException($"no answer to {message.GetType().Name} within {patience.TotalSeconds:0} s; the node's log says more", exception);
        }
    }

    /// <summary>Asks a job's coordinator what asking twice does not change. A coordinator that dies takes the questions in its mailbox along: they are asked again.</summary>
    private async Task<object> QueryAsync(TrainingProtocol.IJobMessage query, CancellationToken cancel)
    {
        for (var left = AskTimeout - QueryTimeout; left > TimeSpan.Zero; left -= QueryTimeout)
        {
            try
            {
                return await Jobs.Ask<object>(query, QueryTimeout, cancel).ConfigureAwait(false);
            }
            catch (AskTimeoutException)
            {
                cancel.ThrowIfCancellationRequested();
            }
        }
        return await AskAsync(Jobs, query, QueryTimeout, cancel).ConfigureAwait(false);
    }

    private static T Expect<T>(object answer) => answer switch
    {
        T expected => expected,
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
