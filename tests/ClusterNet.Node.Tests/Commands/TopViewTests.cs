using System.Text.Json.Nodes;
using ClusterNet.Node.Output;
using Spectre.Console.Testing;

namespace ClusterNet.Node.Tests.Commands;

/// <summary>What the dashboard shows fits a terminal of 80 columns, and what a key does not allow is said.</summary>
public sealed class TopViewTests
{
    private static readonly Uri _address = new("http://127.0.0.1:8000/");

    [Fact]
    public void Members_jobs_models_and_events_fit_eighty_columns()
    {
        var clock = new Clock();
        var view = new TopView(_address, clock);
        view.Update(Moment(step: 100, requests: 1000));
        clock.Advance(TimeSpan.FromSeconds(2));
        view.Update(Moment(step: 300, requests: 1050));
        var lines = Lines(view, height: 60);
        Assert.All(lines, line => Assert.True(line.Length <= 80, line));
        var text = string.Join('\n', lines);
        Assert.Contains("nodes 1/2 up", text, StringComparison.Ordinal);
        Assert.Contains("unreachable", text, StringComparison.Ordinal);
        // 200 steps in 2 s, 700 are left
        Assert.Matches("long-job-1 +training +300 +1,000 +0\\.2500 +12,346 +7\\.0 s", text);
        Assert.Matches("tumor:3 +ready +75 % +25\\.0 +2 +1\\.5 +20\\.25 +4 +8\\.0", text);
        Assert.Contains("127.0.0.1:4053 has joined and is up", text, StringComparison.Ordinal);
        Assert.Equal(3, view.ToJson()["versions"]!.AsArray().Count);
    }

    [Fact]
    public void A_small_terminal_has_the_first_rows()
    {
        var view = new TopView(_address, new Clock());
        view.Update(Moment(1, 1));
        Assert.InRange(Lines(view, height: 14).Length, 5, 14);
    }

    [Fact]
    public void What_a_key_may_not_see_and_what_was_lost_is_said()
    {
        var view = new TopView(_address, new Clock());
        view.Update(Moment(1, 1) with { Nodes = null, Shards = null, Jobs = [], Active = [] });
        Assert.Contains("Nodes: this key may not see them", string.Join('\n', Lines(view, 40)), StringComparison.Ordinal);
        Assert.Contains("Jobs: none", string.Join('\n', Lines(view, 40)), StringComparison.Ordinal);
        view.Lost("no gateway can be reached");
        Assert.Contains("no gateway can be reached", Lines(view, 40)[0], StringComparison.Ordinal);
    }

    private static string[] Lines(TopView view, int height)
    {
        var console = new TestConsole();
        console.Profile.Width = 80;
        console.Write(view.Render(height));
        return [.. console.Output.TrimEnd('\n').Split('\n').Select(line => line.TrimEnd())];
    }

    private static GatewayMoment Moment(long step, long requests) => new(
        JsonNode.Parse("""{"node":"ward-7","scopes":["predict","operate"]}""")!,
        Array("""[{"address":"clusternet@127.0.0.1:4053","status":"Up","reachable":true,"roles":["coordinator","parameters","worker","inference","gateway"]},{"address":"clusternet@127.0.0.1:4054","status":"Up","reachable":false,"roles":["inference"]}]"""),
        Array("""[{"kind":"parameters","address":"127.0.0.1:4053","entities":4,"shards":{"1":4}},{"kind":"jobs","address":"127.0.0.1:4053","entities":1,"shards":{"9":1}}]"""),
        Array($$$"""[{"job":"done-1","status":"completed","steps":10,"total_steps":10},{"job":"long-job-1","status":"training","steps":{{{step}}},"total_steps":1000}]"""),
        [JsonNode.Parse($$$"""{"job":"long-job-1","progress":{"step":{{{step}}},"training_loss":0.25,"samples_per_second":12345.6}}""")!],
        Array($$$"""[{"model":"tumor","version":3,"state":"ready","share":0.75,"requests":{{{requests}}},"failures":{"Overloaded":2},"samples":800,"batches":100,"waiting":4,"latency_milliseconds":{"p50":1.5,"p90":9,"p99":20.25}},{"model":"tumor","version":4,"state":"loading","share":0.25,"requests":0,"failures":{},"samples":0,"batches":0,"waiting":0,"latency_milliseconds":null},{"model":"a-model-with-a-very-long-name-that-nobody-reads","version":12,"state":"unloaded","share":0}]"""),
        Array("""[{"id":1,"at":"2026-11-26T10:00:00+00:00","kind":"node-up","subject":"x","message":"127.0.0.1:4053 has joined and is up"}]"""));

    private static JsonArray Array(string json) => JsonNode.Parse(json)!.AsArray();

    private sealed class Clock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan time) => _ticks += time.Ticks;
    }
}
