using System.CommandLine;
using System.Globalization;

namespace ClusterNet.Benchmarks.Serving;

/// <summary>The command <c>serving</c>.</summary>
internal static class ServingCommand
{
    public static IEnumerable<Command> All(Option<bool> json, Option<double> seconds)
    {
        var rounds = new Option<int>("--rounds") { Description = "Measurements of each figure", DefaultValueFactory = _ => 5 };
        rounds.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out var value) && value < 1)
                result.AddError($"--rounds: {value} is not above 0");
        });
        var only = new Option<string[]>("--only") { Description = $"Parts to measure: {string.Join(", ", ServingBenchmark.Parts)} [default: all]", AllowMultipleArgumentsPerToken = true };
        only.AcceptOnlyFromAmong([.. ServingBenchmark.Parts]);
        var serving = new Command("serving", "Dynamic batching over none; a gateway over a minimal API; messages between processes; a lone request over a direct call; overload") { json, seconds, rounds, only };
        serving.SetAction(async (parse, cancel) =>
        {
            var wanted = parse.GetValue(only) is { Length: > 0 } some ? some : ServingBenchmark.Parts;
            var figures = await ServingBenchmark.RunAsync([.. wanted], parse.GetValue(rounds), TimeSpan.FromSeconds(parse.GetValue(seconds)), Console.Error, cancel);
            if (parse.GetValue(json))
                Console.WriteLine(Figure.ToJson(figures));
            else
                FigureTable.Print(figures);
        });
        var folder = new Argument<string>("folder");
        var data = new Argument<string>("data");
        var node = new Command(ServingNode.Command, "The other process of 'serving --only messages'") { folder, data };
        node.Hidden = true;
        node.SetAction((parse, cancel) => ServingNode.ServeAsync(parse.GetValue(folder)!, parse.GetValue(data)!, cancel));
        return [serving, node];
    }
}
