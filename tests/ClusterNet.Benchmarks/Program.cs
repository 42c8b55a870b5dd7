using System.CommandLine;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using ClusterNet.Benchmarks;
using ClusterNet.Benchmarks.Cluster;
using ClusterNet.Benchmarks.Local;
using ClusterNet.Benchmarks.Serving;
using ClusterNet.Benchmarks.Soak;

var json = new Option<bool>("--json") { Description = "Print the figures as one JSON array on standard output, and nothing else there" };
var seconds = new Option<double>("--seconds") { Description = "How long each measurement of a round takes, about", DefaultValueFactory = _ => 3 };
var rounds = new Option<int>("--rounds") { Description = "Pairs of measurements of each workload", DefaultValueFactory = _ => 7 };
var only = new Option<string[]>("--only") { Description = $"Workloads to measure: {string.Join(", ", Workload.All.Select(workload => workload.Name))} [default: all]", AllowMultipleArgumentsPerToken = true };
only.AcceptOnlyFromAmong([.. Workload.All.Select(workload => workload.Name)]);
var slices = new Option<int>("--slices") { Description = "Slices that the cluster cuts a batch into; the plain loop never cuts", DefaultValueFactory = _ => 1 };
slices.AcceptOnlyFromAmong("1", "2", "4", "8");
var shards = new Option<int?>("--shards") { Description = "Parameter shards [default: as many as a job of this size has]" };
foreach (var number in new Option[] { seconds, rounds, shards })
{
    number.Validators.Add(result =>
    {
        if (result.Tokens is [var token] && double.TryParse(token.Value, System.Globalization.CultureInfo.InvariantCulture, out var value) && !(value > 0))
            result.AddError($"{number.Name}: '{token.Value}' is not above 0");
    });
}

var local = new Command("local", "One worker of a cluster in this process over a plain TorchSharp loop, in samples/s") { json, seconds, rounds, only, slices, shards };
local.SetAction(async (parse, cancel) =>
{
    var names = parse.GetValue(only) ?? [];
    var settings = new LocalSettings(TimeSpan.FromSeconds(parse.GetValue(seconds)), parse.GetValue(rounds), parse.GetValue(slices), parse.GetValue(shards));
    var comparisons = await LocalBenchmark.RunAsync([.. Workload.All.Where(workload => names.Length == 0 || names.Contains(workload.Name))], settings, Console.Error, cancel);
    if (parse.GetValue(json))
        Console.WriteLine(Figure.ToJson(comparisons.Select(comparison => comparison.ToFigure())));
    else
        LocalReport.Print(comparisons);
});

var filter = new Argument<string>("filter") { Description = "Which benchmarks, by name with wildcards", DefaultValueFactory = _ => "*" };
var micro = new Command("micro", "Update rules, the reduction tree, metrics and predictions, by BenchmarkDotNet") { filter };
micro.SetAction(parse =>
{
    // in this process: a generated project would need libtorch's folder and the pinned packages once more
    var config = DefaultConfig.Instance.AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance));
    BenchmarkSwitcher.FromAssembly(typeof(LocalBenchmark).Assembly).Run(["--filter", parse.GetValue(filter)!], config);
});

var root = new RootCommand("ClusterNet's benchmarks. What was measured so far is in RESULTS.md.") { local, micro };
foreach (var command in ClusterCommand.All(json).Concat(ServingCommand.All(json, seconds)).Concat(SoakCommand.All(json)))
    root.Subcommands.Add(command);
return await root.Parse(args).InvokeAsync();
