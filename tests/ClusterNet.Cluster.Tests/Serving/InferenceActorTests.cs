using Akka.Actor;
using Akka.TestKit;
using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;
using ClusterNet.Cluster.Tests.Models;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using ClusterNet.Core.Metrics;
using ClusterNet.Core.Parameters;
using static ClusterNet.Cluster.Serving.ServingProtocol;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>Every request is answered: with a prediction that no other request changed, or with what kept it from one.</summary>
public sealed class InferenceActorTests : TestKit
{
    private static readonly float[] Weights = [1, 2, 3, 4, 5];
    private static readonly ModelProtocol.StoredVersion Stored = Samples.Stored("tumor", 1, "tumor-1", Weights, 2, 3);
    private static readonly ModelVersionId Version = Stored.Version.Id;
    private static readonly ServingSettings Quick = new() { CheckInterval = TimeSpan.FromMilliseconds(50), RegistryPatience = TimeSpan.FromMilliseconds(200) };

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly FakeModel _model = new();
    private readonly TestProbe _registry;

    public InferenceActorTests()
        : base(TestStore.Config) => _registry = CreateTestProbe();

    [Fact]
    public async Task Requests_that_come_while_the_version_is_loaded_are_answered_once_it_is()
    {
        await SaveWeights();
        AnswerFinds();
        var asker = Ask(Start(new ServingSettings()), "0.25", "1");
        var prediction = await asker.ExpectMsgAsync<Prediction>();
        Assert.Equal((Version, 2), (prediction.Version, prediction.Count));
        Assert.Equal([0.75f, 0.25f, 0f, 1f], prediction.Outputs.ToArray());
        Assert.Equal(("no", "yes"), (prediction.ClassOf(0), prediction.ClassOf(1)));
    }

    [Fact]
    public async Task What_waits_while_the_model_computes_is_computed_together_and_told_apart()
    {
        var actor = await Serving();
        _model.Hold();
        var first = Ask(actor, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        TestProbe[] others = [.. Enumerable.Range(1, 5).Select(i => Ask(actor, $"0.{i}", $"0.{i}"))];
        await Settled(actor);
        _model.LetGo();
        await first.ExpectMsgAsync<Prediction>();
        for (var i = 0; i < others.Length; i++)
        {
            var value = (i + 1) / 10f;
            await ExpectOutputs(others[i], 1 - value, value, 1 - value, value);
        }
        Assert.Equal([1, 10], _model.Batches);
    }

    [Fact]
    public async Task A_faulty_request_among_good_ones_fails_alone()
    {
        var actor = await Serving();
        _model.Hold();
        Ask(actor, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        var (good, bad, alsoGood) = (Ask(actor, "0.5"), Ask(actor, "bad"), Ask(actor, "0.25"));
        await Settled(actor);
        _model.LetGo();
        await ExpectOutputs(good, 0.5f, 0.5f);
        await ExpectOutputs(alsoGood, 0.75f, 0.25f);
        var failed = await bad.ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal(FailureKind.InvalidInput, failed.Kind);
        Assert.Equal("samples[0]: 'bad' is no number", Assert.Single(failed.Faults).ToString());
        Assert.Equal([1, 2], _model.Batches);
    }

    [Fact]
    public async Task A_batch_of_nothing_but_faults_computes_nothing()
    {
        var actor = await Serving();
        Assert.Equal(FailureKind.InvalidInput, (await Ask(actor, "bad").ExpectMsgAsync<Replies.PredictFailed>()).Kind);
        await Ask(actor, "1").ExpectMsgAsync<Prediction>();
        Assert.Equal([1], _model.Batches);
    }

    [Fact]
    public async Task Too_many_are_refused_at_once_while_the_model_computes()
    {
        var actor = await Serving(new ServingSettings { MaxWaitingRequests = 2 });
        _model.Hold();
        var running = Ask(actor, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        TestProbe[] waiting = [Ask(actor, "0.5"), Ask(actor, "0.5")];
        var refused = await Ask(actor, "0.5").ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal(FailureKind.Overloaded, refused.Kind);
        Assert.Equal("tumor:1: 2 requests with 2 samples wait already: try again later", refused.Faults[0].ToString());
        _model.LetGo();
        foreach (var probe in waiting.Append(running))
            await probe.ExpectMsgAsync<Prediction>();
    }

    [Fact]
    public async Task An_evaluation_gives_metrics_and_its_faults_are_its_own()
    {
        var actor = await Serving();
        var probe = CreateTestProbe();
        actor.Tell(new Queries.Evaluate(Version, FakeModel.Rows("0", "1", "1")), probe);
        var whole = await probe.ExpectMsgAsync<Replies.EvaluationDone>();
        Assert.Equal((1.0 / 3, 0), (whole.Metrics["accuracy"], whole.Sums.Length));
        actor.Tell(new Queries.Evaluate(Version, FakeModel.Rows("0", "1", "1")) { WantsSums = true }, probe);
        Assert.Equal(whole.Metrics, MetricAccumulator.FromBytes((await probe.ExpectMsgAsync<Replies.EvaluationDone>()).Sums.Span).Report().Values);
        actor.Tell(new Queries.Evaluate(Version, FakeModel.Rows("bad")), probe);
        Assert.Equal(FailureKind.InvalidInput, (await probe.ExpectMsgAsync<Replies.PredictFailed>()).Kind);
    }

    [Fact]
    public async Task A_crash_fails_what_was_being_computed_and_the_rest_waits_for_the_model_to_be_loaded_again()
    {
        var actor = await Serving();
        _model.Hold();
        var doomed = Ask(actor, "-1");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        var waiting = Ask(actor, "0.5");
        await Settled(actor);
        _model.LetGo();
        var failed = await doomed.ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal(FailureKind.ComputeFailed, failed.Kind);
        Assert.Contains("out of memory", failed.Faults[0].Message, StringComparison.Ordinal);
        await waiting.ExpectMsgAsync<Prediction>();
        Assert.Equal((2, 1), (_model.Loads, _model.Disposals));
    }

    [Fact]
    public async Task The_model_is_touched_by_its_own_threads_only()
    {
        var actor = await Serving();
        await Ask(actor, "0").ExpectMsgAsync<Prediction>();
        await WatchAsync(actor);
        Sys.Stop(actor);
        await ExpectTerminatedAsync(actor);
        Assert.Equal(1, _model.Disposals);
        Assert.Single(_model.Threads);
    }

    [Fact]
    public async Task An_actor_that_is_stopped_answers_those_who_wait()
    {
        var actor = await Serving();
        _model.Hold();
        var (running, waiting) = (Ask(actor, "0"), Ask(actor, "1"));
        await Settled(actor);
        // straight to the actor: the system would ask its parent first, and the held batch could be answered before the parent acts
        ((IInternalActorRef)actor).Stop();
        _model.LetGo();
        Assert.Equal(FailureKind.Unavailable, (await running.ExpectMsgAsync<Replies.PredictFailed>()).Kind);
        Assert.Equal(FailureKind.Unavailable, (await waiting.ExpectMsgAsync<Replies.PredictFailed>()).Kind);
    }

    [Fact]
    public async Task Missing_weights_fail_the_load_and_the_next_requests_at_once()
    {
        AnswerFinds();
        var actor = Start(new ServingSettings());
        var asker = Ask(actor, "0");
        var failed = await asker.ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal(FailureKind.LoadFailed, failed.Kind);
        Assert.Contains("it is not in the store", failed.Faults[0].Message, StringComparison.Ordinal);
        Assert.Equal(FailureKind.LoadFailed, (await Ask(actor, "0").ExpectMsgAsync<Replies.PredictFailed>()).Kind);
    }

    [Fact]
    public async Task Weights_that_are_not_those_registered_are_not_served()
    {
        await SaveWeights();
        AnswerFinds(Stored with { Version = Stored.Version with { WeightsSha256 = WeightsDigest.Sha256([9]) } });
        var asker = Ask(Start(new ServingSettings()), "0");
        var failed = await asker.ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal(FailureKind.LoadFailed, failed.Kind);
        Assert.Contains("not those that were registered", failed.Faults[0].Message, StringComparison.Ordinal);
        Assert.Equal(0, _model.Loads);
    }

    [Fact]
    public async Task A_model_that_can_not_be_made_here_says_why()
    {
        await SaveWeights();
        AnswerFinds();
        var asker = Ask(Start(new ServingSettings(), (_, _) => throw new InputException([Fault.Unknown("model.kind", "mpl", ["mlp"])])), "0");
        var failed = await asker.ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal(FailureKind.LoadFailed, failed.Kind);
        Assert.Equal(["mlp"], failed.Faults[0].Candidates);
    }

    [Fact]
    public async Task A_loader_that_crashes_fails_the_load()
    {
        await SaveWeights();
        AnswerFinds();
        var asker = Ask(Start(new ServingSettings(), (_, _) => throw new NotSupportedException("no such processor")), "0");
        var failed = await asker.ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal((FailureKind.LoadFailed, "tumor:1: NotSupportedException: no such processor"), (failed.Kind, failed.Faults[0].ToString()));
    }

    [Fact]
    public async Task An_unknown_version_is_answered_with_what_the_registry_says()
    {
        var actor = Start(new ServingSettings());
        var asker = Ask(actor, "0");
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.Find>();
        _registry.Reply(new ModelProtocol.Replies.Unknown(Fault.Unknown("model", "tumor", ["tumour"])));
        var failed = await asker.ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal(FailureKind.UnknownModel, failed.Kind);
        Assert.Equal(["tumour"], failed.Faults[0].Candidates);
    }

    [Fact]
    public async Task A_registry_that_is_starting_is_asked_again()
    {
        await SaveWeights();
        var asker = Ask(Start(Quick with { RegistryPatience = TimeSpan.FromMinutes(1) }), "0");
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.Find>();
        _registry.Reply(new Status.Failure(new ClusterException("starting")));
        AnswerFinds();
        await asker.ExpectMsgAsync<Prediction>();
    }

    [Fact]
    public async Task A_registry_that_never_answers_is_given_up_on()
    {
        var failed = await Ask(Start(Quick), "0").ExpectMsgAsync<Replies.PredictFailed>();
        Assert.Equal(FailureKind.LoadFailed, failed.Kind);
        Assert.Contains("does not answer", failed.Faults[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_due_is_answered_while_the_model_computes_and_takes_no_place_in_a_batch()
    {
        var actor = await Serving();
        _model.Hold();
        var running = Infer(actor, 1, TimeSpan.FromMilliseconds(300), "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        var late = Infer(actor, 2, TimeSpan.FromMilliseconds(20), "0.5");
        var inTime = Infer(actor, 3, null, "0.25");
        // the model is held: nothing but the deadline can have answered them
        foreach (var (probe, number) in new[] { (late, 2), (running, 1) })
        {
            var failed = await probe.ExpectMsgAsync<Replies.InferFailed>();
            Assert.Equal((number, FailureKind.DeadlineExceeded), (failed.Request, failed.Kind));
        }
        _model.LetGo();
        var answered = await inTime.ExpectMsgAsync<Replies.Inferred>();
        Assert.Equal([0.75f, 0.25f], answered.Served.Prediction.Outputs.ToArray());
        Assert.Equal([1, 1], _model.Batches);
        await running.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task A_request_whose_caller_is_gone_is_taken_out_of_the_queue()
    {
        var actor = await Serving();
        _model.Hold();
        var running = Infer(actor, 1, null, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        var (gone, other) = (Infer(actor, 2, null, "0.5"), Infer(actor, 2, null, "0.25"));
        actor.Tell(new Commands.Cancel(2, Version), gone);
        await Settled(actor);
        _model.LetGo();
        await running.ExpectMsgAsync<Replies.Inferred>();
        // another sender's request of the same number is not concerned
        await other.ExpectMsgAsync<Replies.Inferred>();
        Assert.Equal([1, 1], _model.Batches);
        await gone.ExpectNoMsgAsync(TimeSpan.Zero);
    }

    [Fact]
    public async Task The_most_urgent_goes_first()
    {
        var actor = await Serving(new ServingSettings { MaxBatchSamples = 1 });
        _model.Hold();
        Infer(actor, 0, null, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        var probe = CreateTestProbe();
        foreach (var (number, priority) in new[] { (1, PriorityLevels.Lowest), (2, PriorityLevels.Default), (3, PriorityLevels.Highest), (4, PriorityLevels.Default) })
            actor.Tell(new Queries.Infer(number, Version, new ModelInput.Raw(FakeModel.Rows("0.5"))) { Priority = priority }, probe);
        await Settled(actor);
        _model.LetGo();
        foreach (var expected in new[] { 3, 2, 4, 1 })
            Assert.Equal(expected, (await probe.ExpectMsgAsync<Replies.Inferred>()).Request);
    }

    [Fact]
    public async Task Prepared_samples_are_taken_as_they_are_once_they_fit()
    {
        var actor = await Serving();
        var good = Prepared(actor, [2], 0.25f, 0, 1, 0);
        var answered = await good.ExpectMsgAsync<Replies.Inferred>();
        Assert.Equal([0.75f, 0.25f, 0f, 1f], answered.Served.Prediction.Outputs.ToArray());
        foreach (var bad in new[] { Prepared(actor, [3], 1, 2, 3), Prepared(actor, [2], 1, 2, 3), Prepared(actor, [2], 1, float.NaN), Prepared(actor, [2], 1, float.PositiveInfinity) })
            Assert.Equal(FailureKind.InvalidInput, (await bad.ExpectMsgAsync<Replies.InferFailed>()).Kind);
    }

    [Fact]
    public async Task A_model_that_gains_nothing_from_batches_answers_one_after_the_other()
    {
        _model.IsQuickerTogether = false;
        var actor = await Serving();
        _model.Hold();
        var first = Ask(actor, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        TestProbe[] waiting = [Ask(actor, "0.5"), Ask(actor, "0.25")];
        await Settled(actor);
        _model.LetGo();
        foreach (var probe in waiting.Prepend(first))
            await probe.ExpectMsgAsync<Prediction>();
        Assert.Equal([1, 1, 1], _model.Batches);
    }

    [Fact]
    public async Task A_shed_request_says_when_to_come_again()
    {
        var actor = await Serving(new ServingSettings { MaxWaitingRequests = 1 });
        _model.Hold();
        Infer(actor, 1, null, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        Infer(actor, 2, null, "0");
        var shed = await Infer(actor, 3, null, "0").ExpectMsgAsync<Replies.InferFailed>();
        Assert.Equal(FailureKind.Overloaded, shed.Kind);
        Assert.True(shed.RetryAfter > TimeSpan.Zero);
        _model.LetGo();
    }

    [Fact]
    public async Task What_can_not_be_answered_in_time_is_shed_at_once_and_what_can_is_taken()
    {
        var actor = await Serving();
        _model.Hold();
        var slow = Infer(actor, 1, null, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        // a sample takes at least as long, as far as the actor knows
        await Task.Delay(300);
        _model.LetGo();
        await slow.ExpectMsgAsync<Replies.Inferred>();
        _model.Hold();
        var running = Infer(actor, 2, null, "0");
        Assert.True(await _model.Begun.WaitAsync(Patience));
        var waiting = Infer(actor, 3, TimeSpan.FromHours(1), "0");
        // the model is held: who is answered now was shed
        var shed = await Infer(actor, 4, TimeSpan.FromMilliseconds(299), "0").ExpectMsgAsync<Replies.InferFailed>();
        Assert.Equal(FailureKind.Overloaded, shed.Kind);
        Assert.Contains("longer than this request does", shed.Faults[0].Message, StringComparison.Ordinal);
        Assert.True(shed.RetryAfter > TimeSpan.Zero);
        _model.LetGo();
        await running.ExpectMsgAsync<Replies.Inferred>();
        await waiting.ExpectMsgAsync<Replies.Inferred>();
        // an idle model tries whatever it is asked
        await Settled(actor);
        var lone = await Infer(actor, 5, TimeSpan.FromMilliseconds(299), "0").ExpectMsgAsync<object>();
        Assert.True(lone is Replies.Inferred or Replies.InferFailed { Kind: FailureKind.DeadlineExceeded });
    }

    [Fact]
    public async Task Who_wants_a_version_prepared_learns_when_it_is_or_why_it_can_not_be()
    {
        AnswerFinds();
        var (probe, again) = (CreateTestProbe(), CreateTestProbe());
        var actor = Start(new ServingSettings());
        actor.Tell(new Commands.Prepare(Version), probe);
        Assert.Contains("not in the store", Assert.Single((await probe.ExpectMsgAsync<Replies.Prepared>()).Faults).Message, StringComparison.Ordinal);
        await SaveWeights();
        Start(new ServingSettings()).Tell(new Commands.Prepare(Version), again);
        Assert.Empty((await again.ExpectMsgAsync<Replies.Prepared>()).Faults);
    }

    [Fact]
    public async Task Who_asks_again_while_it_is_being_loaded_waits_like_all_others()
    {
        await SaveWeights();
        var probe = CreateTestProbe();
        var actor = Start(new ServingSettings());
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.Find>();
        for (var i = 0; i < 3; i++)
            actor.Tell(new Commands.Prepare(Version), probe);
        _registry.Send(actor, new ModelProtocol.Replies.Found(Stored) { Arithmetic = _model.Arithmetic });
        Assert.Empty((await probe.ExpectMsgAsync<Replies.Prepared>()).Faults);
        Assert.Equal(1, _model.Loads);
    }

    [Fact]
    public async Task A_version_that_is_loaded_is_looked_for_and_not_fetched_again()
    {
        await SaveWeights();
        var actor = Start(Quick);
        await _registry.ExpectMsgAsync<ModelProtocol.Queries.Find>();
        _registry.Reply(new ModelProtocol.Replies.Found(Stored) { Arithmetic = _model.Arithmetic });
        await Settled(actor);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(new ModelProtocol.Queries.IsThere(Version), await _registry.ExpectMsgAsync<ModelProtocol.Queries.IsThere>());
            _registry.Reply(new ModelProtocol.Replies.There(Version) { Arithmetic = _model.Arithmetic });
        }
        _registry.Reply(new ModelProtocol.Replies.Unknown(new Fault("version", "was deleted")));
        await AwaitAssertAsync(async () => Assert.Equal(FailureKind.UnknownModel, (await Infer(actor, 1, null, "0.5").ExpectMsgAsync<Replies.InferFailed>()).Kind));
    }

    [Fact]
    public async Task The_first_node_that_loads_a_version_says_what_it_comes_to()
    {
        await SaveWeights();
        _model.Arithmetic = "ours";
        var noted = AnswerFindsAndNotes(null);
        var actor = Start(new ServingSettings());
        await Infer(actor, 1, null, "0.5").ExpectMsgAsync<Replies.Inferred>();
        Assert.Equal(new ModelProtocol.Commands.NoteArithmetic(Version, "ours"), await noted.ExpectMsgAsync<ModelProtocol.Commands.NoteArithmetic>());
    }

    [Fact]
    public async Task A_node_that_computes_other_bits_stands_back_and_answers_what_no_other_one_can()
    {
        await SaveWeights();
        _model.Arithmetic = "ours";
        AnswerFindsAndNotes("theirs");
        await EventFilter.Warning(contains: "comes to other bits here").ExpectOneAsync(async () =>
        {
            var actor = Start(new ServingSettings());
            // one that waits while it is loaded, and one that comes later
            for (var i = 0; i < 2; i++)
            {
                var refused = await Infer(actor, i, null, "0.5").ExpectMsgAsync<Replies.InferFailed>();
                Assert.Equal((i, FailureKind.Unavailable, true), (refused.Request, refused.Kind, refused.HasOtherBits));
            }
            var insisting = CreateTestProbe();
            actor.Tell(new Queries.Infer(7, Version, new ModelInput.Raw(FakeModel.Rows("0.5"))) { TakesOtherBits = true }, insisting);
            await insisting.ExpectMsgAsync<Replies.Inferred>();
            await Ask(actor, "0.5").ExpectMsgAsync<Prediction>();
        });
    }

    [Fact]
    public async Task Of_two_that_load_at_the_same_time_the_second_learns_that_it_was_not_the_first()
    {
        await SaveWeights();
        _model.Arithmetic = "ours";
        var noted = AnswerFindsAndNotes(null, "theirs");
        var actor = Start(new ServingSettings());
        await noted.ExpectMsgAsync<ModelProtocol.Commands.NoteArithmetic>();
        await Settled(actor);
        Assert.True((await Infer(actor, 1, null, "0.5").ExpectMsgAsync<Replies.InferFailed>()).HasOtherBits);
    }

    /// <returns>is told what is noted</returns>
    private TestProbe AnswerFindsAndNotes(string? first, string? then = null)
    {
        var noted = CreateTestProbe();
        _registry.SetAutoPilot(new DelegateAutoPilot((sender, message) =>
        {
            if (message is ModelProtocol.Queries.Find)
                sender.Tell(new ModelProtocol.Replies.Found(Stored) { Arithmetic = first });
            if (message is ModelProtocol.Commands.NoteArithmetic note)
            {
                sender.Tell(new ModelProtocol.Replies.Found(Stored) { Arithmetic = then ?? note.Arithmetic });
                noted.Ref.Tell(note);
            }
            return AutoPilot.KeepRunning;
        }));
        return noted;
    }

    private TestProbe Infer(IActorRef actor, long number, TimeSpan? patience, params string[] rows)
    {
        var probe = CreateTestProbe();
        actor.Tell(new Queries.Infer(number, Version, new ModelInput.Raw(FakeModel.Rows(rows))) { Patience = patience }, probe);
        return probe;
    }

    private TestProbe Prepared(IActorRef actor, int[] shape, params float[] values)
    {
        var probe = CreateTestProbe();
        actor.Tell(new Queries.Infer(1, Version, new ModelInput.Prepared(shape, values)), probe);
        return probe;
    }

    private static async Task ExpectOutputs(TestProbe asker, params float[] outputs) =>
        Assert.Equal(outputs, (await asker.ExpectMsgAsync<Prediction>()).Outputs.ToArray());

    private async Task SaveWeights()
    {
        foreach (var part in Stored.Parts)
        {
            var probe = CreateTestProbe();
            probe.ChildActorOf(WeightsPartActor.PropsForSave(Version, part, Samples.Payload(Weights[part.Offset..part.End])));
            await probe.ExpectMsgAsync<WeightsProtocol.Saved>();
        }
    }

    private async Task<IActorRef> Serving(ServingSettings? settings = null)
    {
        await SaveWeights();
        AnswerFinds();
        var actor = Start(settings ?? new ServingSettings());
        await Settled(actor);
        return actor;
    }

    /// <summary>A version whose host has room for it.</summary>
    private IActorRef Start(ServingSettings settings, ServedModelLoader? loader = null)
    {
        var host = CreateTestProbe();
        host.SetAutoPilot(new DelegateAutoPilot((sender, message) =>
        {
            if (message is InferenceActor.Takes)
                sender.Tell(new InferenceActor.Room(), host);
            return AutoPilot.KeepRunning;
        }));
        return host.ChildActorOf(InferenceActor.PropsFor(Version, _registry, loader ?? _model.Loader, settings));
    }

    private void AnswerFinds(ModelProtocol.StoredVersion? stored = null) => _registry.SetAutoPilot(new DelegateAutoPilot((sender, message) =>
    {
        if (message is ModelProtocol.Queries.Find)
            sender.Tell(new ModelProtocol.Replies.Found(stored ?? Stored));
        return AutoPilot.KeepRunning;
    }));

    private TestProbe Ask(IActorRef actor, params string[] rows)
    {
        var probe = CreateTestProbe();
        actor.Tell(new Queries.Predict(Version, FakeModel.Rows(rows)), probe);
        return probe;
    }

    /// <summary>Returns when the actor has taken everything that was sent to it before.</summary>
    private static async Task Settled(IActorRef actor)
    {
        var identity = await actor.Ask<ActorIdentity>(new Identify(null));
        Assert.Equal(actor, identity.Subject);
    }
}
