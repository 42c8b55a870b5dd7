using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace ClusterNet.Node.Output;

/// <summary>A gateway's moments as a page of tables that fits a terminal of 80 columns.</summary>
/// <param name="address">of the gateway</param>
/// <param name="clock">for rates and the time that is left</param>
internal sealed class TopView(Uri address, TimeProvider clock)
{
    private const int RowsAround = 3;
    private const int NameWidth = 18;
    private GatewayMoment? _now;
    private long _at;
    private string? _lost;
    private Dictionary<string, double> _counts = [];
    private Dictionary<string, double> _rates = [];

    /// <summary>Takes a moment.</summary>
    public void Update(GatewayMoment moment)
    {
        var at = clock.GetTimestamp();
        var counts = new Dictionary<string, double>();
        foreach (var version in moment.Versions ?? [])
            counts["v " + Name(version)] = Number(version, "requests") ?? 0;
        foreach (var job in moment.Active)
            counts["j " + job["job"]] = Number(job["progress"], "step") ?? 0;
        var seconds = _now is null ? 0 : clock.GetElapsedTime(_at, at).TotalSeconds;
        _rates = seconds > 0 ? counts.Where(count => _counts.ContainsKey(count.Key)).ToDictionary(count => count.Key, count => Math.Max(0, count.Value - _counts[count.Key]) / seconds) : [];
        (_now, _at, _counts, _lost) = (moment, at, counts, null);
    }

    /// <summary>The gateway did not answer: what was known last stays, and is said to be old.</summary>
    public void Lost(string message) => _lost = message;

    /// <summary>All of it as one document.</summary>
    public JsonObject ToJson() => new()
    {
        ["gateway"] = address.ToString(),
        ["session"] = _now!.Session.DeepClone(),
        ["nodes"] = _now.Nodes?.DeepClone(),
        ["shards"] = _now.Shards?.DeepClone(),
        ["jobs"] = _now.Jobs?.DeepClone(),
        ["versions"] = _now.Versions?.DeepClone(),
        ["events"] = _now.Events?.DeepClone(),
    };

    /// <summary>As much of it as goes into so many lines.</summary>
    public IRenderable Render(int height)
    {
        var now = _now!;
        var left = height == int.MaxValue ? int.MaxValue : Math.Max(8, height - 1);
        var parts = new List<IRenderable> { Head(now) };
        left -= 1;
        Add("Nodes", now.Nodes, Nodes, rows => rows.Count);
        Add("Jobs", now.Jobs, Jobs, rows => Math.Min(rows.Count, 8));
        // versions that nothing leads to would push the others out
        var versions = now.Versions is null ? null : new JsonArray([.. now.Versions.Where(version => Number(version, "share") > 0 || Number(version, "requests") > 0 || $"{version?["state"]}" != "unloaded").Select(version => version?.DeepClone())]);
        Add("Models", versions, Models, rows => rows.Count);
        Add("Events", now.Events, Events, rows => Math.Min(rows.Count, 6));
        return new Rows(parts);

        void Add(string name, JsonArray? rows, Func<JsonArray, int, IRenderable> table, Func<JsonArray, int> wanted)
        {
            if (rows is null)
            {
                parts.Add(new Text($"{name}: this key may not see them", new Style(decoration: Decoration.Dim)));
                left -= 1;
                return;
            }
            if (rows.Count == 0)
            {
                parts.Add(new Text($"{name}: none", new Style(decoration: Decoration.Dim)));
                left -= 1;
                return;
            }
            var room = Math.Min(wanted(rows), left - RowsAround);
            if (room < 1)
                return;
            parts.Add(table(rows, room));
            left -= room + RowsAround;
        }
    }

    private Text Head(GatewayMoment now)
    {
        var nodes = now.Nodes is null ? "" : $"   nodes {now.Nodes.Count(IsUp)}/{now.Nodes.Count} up";
        var time = clock.GetLocalNow().ToString("HH:mm:ss", CultureInfo.InvariantCulture);
        return _lost is null
            ? new Text($"{now.Session["node"]}   {address}   {time}{nodes}", new Style(decoration: Decoration.Bold))
            : new Text($"{time}   {_lost}", new Style(Color.Red, decoration: Decoration.Bold));
    }

    private Table Nodes(JsonArray nodes, int room)
    {
        var table = Compact("node", "state", "roles", ">shards", ">jobs");
        foreach (var node in nodes.Take(room))
        {
            table.AddRow(
                Cell(node?["address"]),
                node?["reachable"]?.GetValue<bool>() == false ? new Text("unreachable", new Style(Color.Red)) : new Text($"{node?["status"]}", IsUp(node) ? new Style(Color.Green) : new Style(Color.Yellow)),
                new Text(string.Join(' ', (node?["roles"] as JsonArray ?? []).Select(role => Short($"{role}")))),
                Cell(Entities(node, "parameters")),
                Cell(Entities(node, "jobs")));
        }
        return table;
    }

    private Table Jobs(JsonArray jobs, int room)
    {
        var table = Compact("job", "state", ">step", ">of", ">loss", ">samples/s", ">left");
        var active = _now!.Active.ToDictionary(job => $"{job["job"]}");
        foreach (var job in jobs.Reverse().OrderByDescending(job => active.ContainsKey($"{job?["job"]}")).Take(room))
        {
            var name = $"{job?["job"]}";
            var progress = active.GetValueOrDefault(name)?["progress"];
            var (step, total) = (Number(progress, "step") ?? Number(job, "steps"), Number(job, "total_steps"));
            var state = $"{job?["status"]}";
            table.AddRow(
                new Text(name).Ellipsis(),
                new Text(state, state switch { "completed" => new Style(Color.Green), "failed" => new Style(Color.Red), "cancelled" or "interrupted" => new Style(Color.Yellow), _ => Style.Plain }),
                Cell(step is { } done ? Figures.Count(done) : null),
                Cell(total is { } all ? Figures.Count(all) : null),
                Cell(progress is null ? null : Figures.Metric(Number(progress, "training_loss"))),
                Cell(Number(progress, "samples_per_second") is { } speed ? Figures.Count(speed) : null),
                Cell(_rates.GetValueOrDefault("j " + name) is > 0 and var rate && total - step is { } rest ? Figures.Duration(TimeSpan.FromSeconds(rest / rate)) : null));
        }
        return table;
    }

    private Table Models(JsonArray versions, int room)
    {
        var table = Compact("version", "state", ">traffic", ">req/s", ">fail", ">p50ms", ">p99ms", ">wait", ">batch");
        foreach (var version in versions.OrderByDescending(version => Number(version, "share")).ThenBy(version => $"{version?["model"]}", StringComparer.Ordinal).Take(room))
        {
            var (samples, batches) = (Number(version, "samples") ?? 0, Number(version, "batches") ?? 0);
            var state = $"{version?["state"]}";
            table.AddRow(
                new Text(Cut($"{version?["model"]}", NameWidth) + $":{version?["version"]}"),
                new Text(state, state switch { "ready" => new Style(Color.Green), "failed" => new Style(Color.Red), "loading" or "draining" => new Style(Color.Yellow), _ => Style.Plain }),
                Cell(Number(version, "share") is { } share ? string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.#} %") : null),
                Cell(_rates.TryGetValue("v " + Name(version), out var rate) ? Decimal(rate) : null),
                Cell(Figures.Count((version?["failures"] as JsonObject ?? []).Sum(failure => failure.Value?.GetValue<double>() ?? 0))),
                Cell(Number(version?["latency_milliseconds"], "p50") is { } half ? Decimal(half) : null),
                Cell(Number(version?["latency_milliseconds"], "p99") is { } most ? Decimal(most) : null),
                Cell(Number(version, "waiting") is { } waiting ? Figures.Count(waiting) : null),
                Cell(batches > 0 ? Decimal(samples / batches) : null));
        }
        return table;
    }

    private static Table Events(JsonArray events, int room)
    {
        var table = Compact("when", "event");
        foreach (var happened in events.Reverse().Take(room))
            table.AddRow(new Text(DateTimeOffset.TryParse($"{happened?["at"]}", CultureInfo.InvariantCulture, out var at) ? at.ToLocalTime().ToString("HH:mm:ss", CultureInfo.InvariantCulture) : "-"), new Text($"{happened?["message"]}").Ellipsis());
        return table;
    }

    private static Table Compact(params string[] columns)
    {
        var table = Tables.With(columns);
        table.Border(TableBorder.None);
        foreach (var column in table.Columns)
            column.Padding(left: 0, top: 0, right: 2, bottom: 0);
        return table;
    }

    private int? Entities(JsonNode? node, string kind)
    {
        if (_now!.Shards is not { } shards || $"{node?["address"]}" is not { Length: > 0 } own)
            return null;
        return shards.Where(region => $"{region?["kind"]}" == kind && own.EndsWith($"{region?["address"]}", StringComparison.Ordinal)).Sum(region => (int)(Number(region, "entities") ?? 0));
    }

    private static bool IsUp(JsonNode? node) => string.Equals($"{node?["status"]}", "up", StringComparison.OrdinalIgnoreCase) && node?["reachable"]?.GetValue<bool>() != false;

    private static string Name(JsonNode? version) => $"{version?["model"]}:{version?["version"]}";

    private static string Short(string role) => role switch
    {
        "coordinator" => "coord",
        "parameters" => "param",
        "inference" => "infer",
        _ => role,
    };

    private static string Cut(string text, int most) => text.Length <= most ? text : text[..(most - 1)] + "…";

    private static string Decimal(double value) => value.ToString(value >= 100 ? "#,0" : "0.0#", CultureInfo.InvariantCulture);

    private static Text Cell(object? value) => new(value is null ? "-" : $"{value}");

    private static double? Number(JsonNode? node, string name) => node is JsonObject map && map[name] is JsonValue value && value.TryGetValue<double>(out var number) ? number : null;
}
