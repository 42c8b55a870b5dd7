using ClusterNet.Cluster.Models;
using ClusterNet.Core.Jobs;
using CsCheck;
using static ClusterNet.Cluster.Models.ModelProtocol;

namespace ClusterNet.Cluster.Tests.Models;

/// <summary>A number means one version of one job for ever, and every question gets an answer that helps.</summary>
public sealed class ModelRegistryStateTests
{
    private static readonly HashSet<ModelVersionId> _none = [];

    private readonly ModelRegistryState _state = new();

    [Fact]
    public void Each_job_gets_the_next_number_and_the_same_one_again()
    {
        Assert.Equal(1, Reserve("tumor", "tumor-1"));
        Assert.Equal(2, Reserve("tumor", "tumor-2"));
        Assert.Equal(1, Reserve("other", "other-1"));
        Assert.Empty(_state.Decide(new Commands.Reserve("tumor", new JobId("tumor-1"))).Events);
        Assert.Equal(1, Reserve("tumor", "tumor-1"));
    }

    [Fact]
    public void A_reserved_number_is_no_version_until_it_is_registered()
    {
        Reserve("tumor", "tumor-1");
        Assert.IsType<Replies.Unknown>(_state.Answer(new Queries.Find("tumor", null)));
        Assert.Empty(_state.List().Versions);
        Register("tumor", 1, "tumor-1");
        Assert.Equal(1, Find("tumor", null).Version.Id.Version);
    }

    [Fact]
    public void Registering_twice_changes_nothing()
    {
        Reserve("tumor", "tumor-1");
        Register("tumor", 1, "tumor-1");
        var again = _state.Decide(new Commands.Register(Samples.Stored("tumor", 1, "tumor-1")));
        Assert.Empty(again.Events);
        Assert.Equal(new Replies.Registered(new ModelVersionId("tumor", 1)), again.Reply);
    }

    [Theory]
    [InlineData("tumor", 1, "tumor-2")]
    [InlineData("tumor", 2, "tumor-1")]
    [InlineData("other", 1, "tumor-1")]
    public void Only_the_job_that_reserved_a_number_can_register_it(string model, int number, string job)
    {
        Reserve("tumor", "tumor-1");
        var decision = _state.Decide(new Commands.Register(Samples.Stored(model, number, job)));
        Assert.Empty(decision.Events);
        Assert.Contains("was not reserved", Assert.IsType<Replies.Unknown>(decision.Reply).Fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_version_came_to_where_it_was_loaded_first_stays_until_it_is_deleted()
    {
        Two();
        Assert.Null(Assert.IsType<Replies.Found>(_state.Answer(new Queries.Find("tumor", 1))).Arithmetic);
        Assert.Equal("a", Assert.IsType<Replies.Found>(Apply(_state.Decide(new Commands.NoteArithmetic(new ModelVersionId("tumor", 1), "a")))).Arithmetic);
        var second = _state.Decide(new Commands.NoteArithmetic(new ModelVersionId("tumor", 1), "b"));
        Assert.Empty(second.Events);
        Assert.Equal("a", Assert.IsType<Replies.Found>(second.Reply).Arithmetic);
        Assert.Equal("a", Assert.IsType<Replies.Found>(_state.Answer(new Queries.Find("tumor", 1))).Arithmetic);
        Assert.Null(Assert.IsType<Replies.Found>(_state.Answer(new Queries.Find("tumor", 2))).Arithmetic);
        var first = new ModelVersionId("tumor", 1);
        Assert.Equal(new Replies.There(first) { Arithmetic = "a" }, _state.Answer(new Queries.IsThere(first)));
        Apply(_state.Decide(new Commands.Delete("tumor", 1), new HashSet<ModelVersionId>()));
        Assert.IsType<Replies.Unknown>(_state.Decide(new Commands.NoteArithmetic(new ModelVersionId("tumor", 1), "a")).Reply);
        Assert.IsType<Replies.Unknown>(_state.Answer(new Queries.IsThere(first)));
    }

    [Fact]
    public void A_label_is_on_one_version_at_a_time_and_leads_to_it()
    {
        Two();
        Label("staging", 1);
        Assert.Equal(1, Labelled("staging"));
        Label("staging", 2);
        Assert.Equal(2, Labelled("staging"));
        Assert.Empty(_state.Decide(new Commands.SetLabel("tumor", "staging", 2)).Events);
        Label("staging", null);
        Assert.Contains("no version of model 'tumor' has the label 'staging'", Assert.IsType<Replies.Unknown>(_state.Answer(new Queries.Find("tumor", null) { Label = "staging" })).Fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("7")]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("-x")]
    public void What_could_be_taken_for_a_number_is_no_label(string label)
    {
        Two();
        Assert.IsType<Replies.Refused>(_state.Decide(new Commands.SetLabel("tumor", label, 1)).Reply);
    }

    [Fact]
    public void A_version_that_answers_is_not_deleted_until_its_model_is_unloaded()
    {
        Two();
        HashSet<ModelVersionId> used = [new("tumor", 2)];
        foreach (var version in (int?[])[2, null])
        {
            var decision = _state.Decide(new Commands.Delete("tumor", version), used);
            Assert.Empty(decision.Events);
            var fault = Assert.Single(Assert.IsType<Replies.Refused>(decision.Reply).Faults);
            Assert.Equal("tumor:2", fault.Place);
            Assert.Contains("/v2/repository/models/tumor/unload", fault.Message, StringComparison.Ordinal);
        }
        Assert.IsType<Replies.Deleted>(_state.Decide(new Commands.Delete("tumor", 1), used).Reply);
        Apply(new Commands.SetTraffic("tumor", TrafficSpec.Default with { IsUnloaded = true }));
        Assert.IsType<Replies.Deleted>(_state.Decide(new Commands.Delete("tumor", null), used).Reply);
    }

    [Fact]
    public void A_version_in_use_is_not_deleted_and_its_free_labels_go_with_it()
    {
        Two();
        Label("production", 1);
        Label("mine", 2);
        var decision = _state.Decide(new Commands.Delete("tumor", 1), _none);
        Assert.Empty(decision.Events);
        Assert.Contains("'production'", Assert.Single(Assert.IsType<Replies.Refused>(decision.Reply).Faults).Message, StringComparison.Ordinal);
        Apply(new Commands.SetTraffic("tumor", new TrafficSpec([new("production", 0.9), new("mine", 0.1)])));
        Assert.IsType<Replies.Refused>(_state.Decide(new Commands.Delete("tumor", 2), _none).Reply);
        Apply(new Commands.SetTraffic("tumor", TrafficSpec.Default));
        Assert.Equal(new ModelVersionId("tumor", 2), Assert.Single(Assert.IsType<Replies.Deleted>(Apply(_state.Decide(new Commands.Delete("tumor", 2), _none))).Versions));
        Assert.Equal(["production"], Assert.Single(_state.Entries()).Labels.Keys);
    }

    [Fact]
    public void Traffic_that_can_not_be_is_refused_with_all_that_is_wrong()
    {
        Two();
        var traffic = new TrafficSpec([new("1", 0), new("3", 1), new("1", double.NaN)]) { Shadows = ["nobody"], Rollback = new("2") { MaxErrorRate = 2, Window = TimeSpan.Zero, LeastRequests = 0 } };
        var decision = _state.Decide(new Commands.SetTraffic("tumor", traffic));
        Assert.Empty(decision.Events);
        Assert.Equal(
            ["traffic.weights.1", "traffic.weights", "traffic.weights.1", "traffic.shadows", "traffic.weights.1", "traffic.rollback.canary", "traffic.rollback.max-error-rate", "traffic.rollback.window", "traffic.rollback.least-requests"],
            Assert.IsType<Replies.Refused>(decision.Reply).Faults.Select(fault => fault.Place));
    }

    [Fact]
    public void A_change_that_was_decided_upon_what_is_no_longer_so_changes_nothing()
    {
        Two();
        var canary = new TrafficSpec([new("1", 0.9), new("2", 0.1)]);
        Apply(new Commands.SetTraffic("tumor", canary));
        Assert.Empty(_state.Decide(new Commands.SetTraffic("tumor", TrafficSpec.Default, "slow") { Instead = TrafficSpec.Default }).Events);
        Assert.Equal("slow", Assert.IsType<Events.TrafficChanged>(Assert.Single(_state.Decide(new Commands.SetTraffic("tumor", TrafficSpec.Default, "slow") { Instead = canary }).Events)).Reason);
    }

    [Fact]
    public void The_newest_is_the_one_with_the_highest_number_whatever_came_first()
    {
        Reserve("tumor", "a");
        Reserve("tumor", "b");
        Register("tumor", 2, "b");
        Register("tumor", 1, "a");
        Assert.Equal(2, Find("tumor", null).Version.Id.Version);
        Assert.Equal(1, Find("tumor", 1).Version.Id.Version);
    }

    [Fact]
    public void A_deleted_number_is_not_given_again_and_its_version_does_not_come_back()
    {
        Reserve("tumor", "a");
        Register("tumor", 1, "a");
        var decision = Do(_state.Decide(new Commands.Delete("tumor", 1), _none));
        Assert.Equal([new ModelVersionId("tumor", 1)], Assert.IsType<Replies.Deleted>(decision.Reply).Versions);
        Assert.Equal(2, Reserve("tumor", "b"));
        Assert.Empty(_state.Decide(new Commands.Register(Samples.Stored("tumor", 1, "a"))).Events);
        Assert.IsType<Replies.Unknown>(_state.Answer(new Queries.Find("tumor", 1)));
    }

    [Fact]
    public void Weights_of_a_deleted_version_stay_to_be_deleted_until_they_are()
    {
        Reserve("tumor", "a");
        Register("tumor", 1, "a");
        Do(_state.Decide(new Commands.Delete("tumor", null), _none));
        Assert.Equal(new ModelVersionId("tumor", 1), Assert.Single(_state.WeightsToDelete).Version.Id);
        _state.Apply(new Events.WeightsDeleted(new ModelVersionId("tumor", 1)));
        Assert.Empty(_state.WeightsToDelete);
    }

    [Fact]
    public void Deleting_all_versions_names_them_all_and_leaves_other_models()
    {
        foreach (var job in new[] { "a", "b" })
            Register("tumor", Reserve("tumor", job), job);
        Register("other", Reserve("other", "c"), "c");
        var deleted = Assert.IsType<Replies.Deleted>(Do(_state.Decide(new Commands.Delete("tumor", null), _none)).Reply);
        Assert.Equal([1, 2], deleted.Versions.Select(version => version.Version));
        Assert.Equal("other", Assert.Single(_state.List().Versions).Id.Model);
    }

    [Fact]
    public void An_unknown_model_is_answered_with_those_there_are()
    {
        Register("tumor", Reserve("tumor", "a"), "a");
        Reserve("empty", "b");
        var fault = Assert.IsType<Replies.Unknown>(_state.Answer(new Queries.Find("tumour", null))).Fault;
        Assert.Equal(["tumor"], fault.Candidates);
        Assert.Equal("'tumour' is not one of tumor", fault.Message);
    }

    [Fact]
    public void With_no_model_at_all_the_answer_says_how_to_get_one()
    {
        var fault = Assert.IsType<Replies.Unknown>(_state.Answer(new Queries.Find("tumor", 3))).Fault;
        Assert.Contains("no model is registered yet", fault.Message, StringComparison.Ordinal);
        Assert.IsType<Replies.Unknown>(_state.Decide(new Commands.Delete("tumor", null), _none).Reply);
    }

    [Fact]
    public void An_unknown_version_is_answered_with_those_there_are()
    {
        foreach (var job in new[] { "a", "b", "c" })
            Register("tumor", Reserve("tumor", job), job);
        Do(_state.Decide(new Commands.Delete("tumor", 2), _none));
        Assert.Equal("version 2 of model 'tumor' was deleted; it has versions 1, 3", Unknown(2));
        Assert.Equal("version 7 of model 'tumor' does not exist; it has versions 1, 3", Unknown(7));
        string Unknown(int version) => Assert.IsType<Replies.Unknown>(_state.Answer(new Queries.Find("tumor", version))).Fault.Message;
    }

    [Fact]
    public void Whatever_is_reserved_registered_and_deleted_no_two_jobs_ever_share_a_number()
    {
        var action = Gen.Select(Gen.Int[0, 2], Gen.Int[0, 5], Gen.Int[0, 1]);
        action.List[1, 40].Sample(actions =>
        {
            var state = new ModelRegistryState();
            var owners = new Dictionary<ModelVersionId, JobId>();
            foreach (var (what, job, model) in actions)
            {
                var (id, name) = (new JobId($"job-{job}"), $"model-{model}");
                var reserved = Run(state, state.Decide(new Commands.Reserve(name, id)));
                var version = ((Replies.Reserved)reserved).Version;
                if (!owners.TryAdd(version, id) && owners[version] != id)
                    return false;
                if (what == 1)
                    Run(state, state.Decide(new Commands.Register(Samples.Stored(name, version.Version, id.Value))));
                else if (what == 2)
                    Run(state, state.Decide(new Commands.Delete(name, null), _none));
            }
            return true;
        });
    }

    private static object Run(ModelRegistryState state, RegistryDecision decision)
    {
        foreach (var @event in decision.Events)
            state.Apply(@event);
        return decision.Reply;
    }

    private RegistryDecision Do(RegistryDecision decision)
    {
        Run(_state, decision);
        return decision;
    }

    private int Reserve(string model, string job) =>
        Assert.IsType<Replies.Reserved>(Do(_state.Decide(new Commands.Reserve(model, new JobId(job)))).Reply).Version.Version;

    private void Register(string model, int number, string job) =>
        Assert.IsType<Replies.Registered>(Do(_state.Decide(new Commands.Register(Samples.Stored(model, number, job)))).Reply);

    private StoredVersion Find(string model, int? version) => Assert.IsType<Replies.Found>(_state.Answer(new Queries.Find(model, version))).Stored;

    private void Two()
    {
        Reserve("tumor", "a");
        Reserve("tumor", "b");
        Register("tumor", 1, "a");
        Register("tumor", 2, "b");
    }

    private void Label(string label, int? version) => Assert.IsType<Replies.Labelled>(Apply(_state.Decide(new Commands.SetLabel("tumor", label, version))));

    private int Labelled(string label) => Assert.IsType<Replies.Found>(_state.Answer(new Queries.Find("tumor", null) { Label = label })).Stored.Version.Id.Version;

    private void Apply(Commands.SetTraffic command) => Assert.IsType<Replies.TrafficSet>(Apply(_state.Decide(command)));

    private object Apply(RegistryDecision decision)
    {
        foreach (var @event in decision.Events)
            _state.Apply(@event);
        return decision.Reply;
    }
}
