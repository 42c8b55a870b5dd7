using System.CommandLine;

namespace ClusterNet.Benchmarks.Soak;

/// <summary>The command <c>soak</c>.</summary>
internal static class SoakCommand
{
    public static IEnumerable<Command> All(Option<bool> json)
    {
        var minutes = new Option<double>("--minutes") { Description = "How long", DefaultValueFactory = _ => 10 };
        minutes.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && double.TryParse(token.Value, System.Globalization.CultureInfo.InvariantCulture, out var value) && !(value >= 0.5))
                result.AddError($"--minutes: '{token.Value}' is not at least 0.5");
        });
        var soak = new Command("soak", "Mixed load by message, HTTP and gRPC on three processes, with deadlines, swaps every second, kills and a node that stands still: what becomes of throughput, memory and answers") { json, minutes };
        soak.SetAction(async (parse, cancel) =>
        {
            var figures = await SoakBenchmark.RunAsync(TimeSpan.FromMinutes(parse.GetValue(minutes)), Console.Error, cancel);
            if (parse.GetValue(json))
                Console.WriteLine(Figure.ToJson(figures));
            else
                FigureTable.Print(figures);
        });
        var (name, database, seed) = (new Argument<string>("name"), new Argument<string>("database"), new Argument<string>("seed"));
        var node = new Command(SoakNode.Command, "A node of 'soak'") { name, database, seed };
        node.Hidden = true;
        node.SetAction((parse, cancel) => SoakNode.ServeAsync(parse.GetValue(name)!, parse.GetValue(database)!, parse.GetValue(seed)!, cancel));
        return [soak, node];
    }
}
