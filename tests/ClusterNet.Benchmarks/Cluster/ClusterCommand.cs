using System.CommandLine;
using System.Globalization;

namespace ClusterNet.Benchmarks.Cluster;

/// <summary>The command <c>cluster</c>: what the parts of a cluster do between processes.</summary>
internal static class ClusterCommand
{
    public static IEnumerable<Command> All(Option<bool> json)
    {
        string[] parts = [.. LaneBenchmark.Parts, .. TrainingBenchmark.Parts, .. ModesBenchmark.Parts];
        var rounds = new Option<int>("--rounds") { Description = "Measurements of each figure", DefaultValueFactory = _ => 7 };
        var only = new Option<string[]>("--only") { Description = $"Parts to measure: {string.Join(", ", parts)} [default: all]", AllowMultipleArgumentsPerToken = true };
        only.AcceptOnlyFromAmong(parts);
        rounds.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out var value) && value < 1)
                result.AddError($"--rounds: {value} is not above 0");
        });
        var cluster = new Command("cluster", "The lane between two processes, over a plain socket and over Akka.Remote; training by two processes over a plain loop; ways of training and codecs over plain synchronous float32") { json, rounds, only };
        cluster.SetAction(async (parse, cancel) =>
        {
            var wanted = parse.GetValue(only) is { Length: > 0 } some ? some : parts;
            var figures = new List<Figure>();
            if (LaneBenchmark.Parts.Intersect(wanted).ToArray() is { Length: > 0 } lane)
                figures.AddRange(await LaneBenchmark.RunAsync(lane, parse.GetValue(rounds), Console.Error, cancel));
            if (wanted.Contains(TrainingBenchmark.Training))
                figures.AddRange(await TrainingBenchmark.RunAsync(parse.GetValue(rounds), Console.Error, cancel));
            if (ModesBenchmark.Parts.Intersect(wanted).ToArray() is { Length: > 0 } modes)
                figures.AddRange(await ModesBenchmark.RunAsync(modes, parse.GetValue(rounds), Console.Error, cancel));
            if (parse.GetValue(json))
                Console.WriteLine(Figure.ToJson(figures));
            else
                FigureTable.Print(figures);
        });
        var road = new Argument<string?>("road") { Arity = ArgumentArity.ZeroOrOne };
        var peer = new Command(LanePeer.Command, "The other process of 'cluster'") { road };
        peer.Hidden = true;
        peer.SetAction((parse, cancel) => LanePeer.ServeAsync(parse.GetValue(road) == LanePeer.Local, cancel));
        var database = new Argument<string>("database");
        var seed = new Argument<string>("seed");
        var node = new Command(TrainingNode.Command, "A node of 'cluster --only training'") { database, seed };
        node.Hidden = true;
        node.SetAction((parse, cancel) => TrainingNode.ServeAsync(parse.GetValue(database)!, parse.GetValue(seed)!, cancel));
        var plain = new Command(PlainPeer.Command, "A plain loop of 'cluster --only training'") { Hidden = true };
        plain.SetAction((_, cancel) => PlainPeer.ServeAsync(cancel));
        return [cluster, peer, node, plain];
    }
}
