using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Akka.Actor;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Parameters;
using ClusterNet.Core.Data;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Serving;

/// <summary>
/// The thread of one version: loads it and computes, one batch at a time, for the <see cref="InferenceActor"/> that made it. It queues nothing and answers no caller, so that nobody
/// waits for it but the one who knows who waits. What a computation throws stops it; its parent tells those concerned.
/// </summary>
internal sealed class ModelRunnerActor : ReceiveActor
{
    private readonly ServedModelLoader _loader;
    private IServedModel? _model;
    private ModelVersion _version = null!;

    public ModelRunnerActor(ServedModelLoader loader)
    {
        _loader = loader;
        Receive<Build>(OnBuild);
        Receive<Compute>(compute =>
        {
            var started = Stopwatch.GetTimestamp();
            var (replies, samples) = Replied(compute.Requests);
            Sender.Tell(new Computed(replies, samples, Stopwatch.GetElapsedTime(started)));
        });
    }

    /// <summary>Make the version ready. Answered by <see cref="Ready"/> or <see cref="BuildFailed"/>. The holds on the parts pass along.</summary>
    public sealed record Build(ModelProtocol.StoredVersion Stored, IReadOnlyList<(ShardRange Range, TensorPayload Values)> Parts) : INoSerializationVerificationNeeded;

    /// <summary>It is.</summary>
    /// <param name="IsQuickerTogether">whether requests are to be merged</param>
    /// <param name="Arithmetic">see <see cref="IServedModel.Arithmetic"/></param>
    public sealed record Ready(bool IsQuickerTogether, string Arithmetic) : INoSerializationVerificationNeeded;

    /// <summary>It can't be, and why.</summary>
    public sealed record BuildFailed(IReadOnlyList<Fault> Faults) : INoSerializationVerificationNeeded;

    /// <summary>Compute these together. Answered by <see cref="Computed"/>.</summary>
    public sealed record Compute(IReadOnlyList<IVersionMessage> Requests) : INoSerializationVerificationNeeded;

    /// <summary>The reply to each request, in their order.</summary>
    /// <param name="Replies">one for each</param>
    /// <param name="Samples">that were computed</param>
    /// <param name="Elapsed">time that it took</param>
    public sealed record Computed(IReadOnlyList<object> Replies, int Samples, TimeSpan Elapsed) : INoSerializationVerificationNeeded;

    public static Props PropsFor(ServedModelLoader loader) => Props.Create(() => new ModelRunnerActor(loader)).WithDispatcher(Hosting.Dispatchers.Compute);

    /// <inheritdoc/>
    protected override void PostStop() => _model?.Dispose();

    private void OnBuild(Build build)
    {
        _version = build.Stored.Version;
        try
        {
            Verify(build);
            _model = _loader(build.Stored, build.Parts);
            Sender.Tell(new Ready(_model.IsQuickerTogether, _model.Arithmetic));
        }
        catch (InputException e)
        {
            Sender.Tell(new BuildFailed(e.Faults));
        }
        catch (InvalidDataException e)
        {
            Sender.Tell(new BuildFailed([new Fault(_version.Id.ToString(), e.Message)]));
        }
        finally
        {
            foreach (var (_, values) in build.Parts)
                values.Release();
        }
    }

    /// <summary>Each part has its own checksum; that of the whole shows that they are the right parts.</summary>
    private void Verify(Build build)
    {
        var at = 0;
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (range, values) in build.Parts)
        {
            if (range.Offset != at)
                throw new InvalidDataException($"its weights have a gap or an overlap at element {at}");
            at = range.End;
            digest.AppendData(MemoryMarshal.AsBytes(values.Span));
        }
        if (at != _version.Parameters)
            throw new InvalidDataException($"the store has {at} of its {_version.Parameters} weights");
        var found = Convert.ToHexStringLower(digest.GetHashAndReset());
        if (found != _version.WeightsSha256)
            throw new InvalidDataException($"its weights are not those that were registered: sha256 {found}, not {_version.WeightsSha256}");
    }

    private Replies.EvaluationDone Evaluated(Queries.Evaluate evaluate)
    {
        var metrics = _model!.Evaluate(_model.Prepare(evaluate.Samples, withTargets: true));
        return new Replies.EvaluationDone(_version.Id, metrics.Report().Values) { Sums = evaluate.WantsSums ? metrics.ToBytes() : default };
    }

    private (object[] Replies, int Samples) Replied(IReadOnlyList<IVersionMessage> requests)
    {
        var replies = new object[requests.Count];
        var prepared = new List<(int Index, SampleSet Samples)>();
        for (var i = 0; i < replies.Length; i++)
        {
            // each by itself: one caller's mistake is no other's
            try
            {
                if (requests[i] is Queries.Evaluate evaluate)
                    replies[i] = Evaluated(evaluate);
                else
                    prepared.Add((i, SamplesOf(requests[i])));
            }
            catch (InputException e)
            {
                replies[i] = new Replies.PredictFailed(_version.Id, FailureKind.InvalidInput, e.Faults);
            }
        }
        if (prepared.Count == 0)
            return (replies, 0);
        var outputs = _model!.Predict(Merged([.. prepared.Select(one => one.Samples)])).AsMemory();
        var classes = _version.Signature.Classes;
        var at = 0;
        foreach (var (index, samples) in prepared)
        {
            var length = samples.Count * Math.Max(1, classes.Count);
            replies[index] = new Prediction(_version.Id, classes, outputs.Slice(at, length));
            at += length;
        }
        return (replies, prepared.Sum(one => one.Samples.Count));
    }

    private SampleSet SamplesOf(IVersionMessage request) => request switch
    {
        Queries.Predict predict => _model!.Prepare(predict.Samples, withTargets: false),
        Queries.Infer { Input: ModelInput.Raw raw } => _model!.Prepare(raw.Samples, withTargets: false),
        Queries.Infer { Input: ModelInput.Prepared prepared } => PreparedSamples.Of(prepared, _version.Signature.Shape),
        _ => throw new ArgumentException($"{request.GetType().Name} is not computed"),
    };

    private static SampleSet Merged(SampleSet[] sets)
    {
        if (sets.Length == 1)
            return sets[0];
        var features = new float[sets.Sum(set => set.Features.Length)];
        var at = 0;
        foreach (var set in sets)
        {
            set.Features.CopyTo(features.AsMemory(at));
            at += set.Features.Length;
        }
        return new SampleSet(sets[0].Shape, features, default, default, Enumerable.Range(0, sets.Sum(set => set.Count)).ToArray());
    }
}
