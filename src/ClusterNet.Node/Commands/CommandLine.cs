using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using ClusterNet.Core.Faults;
using ClusterNet.Node.Hosting;

namespace ClusterNet.Node.Commands;

/// <summary>The command line: parses it, runs what it asks for, and turns every error into words and an exit code.</summary>
internal sealed class CommandLine
{
    /// <summary>The environment variable that says where the data directory is.</summary>
    public const string DataDirectoryVariable = "CLUSTERNET_DATA_DIR";

    private const string Epilogue = """
        Exit codes:
          0    done
          1    failed
          2    bad input: a file, a setting or an argument can't be used; nothing was done
          130  interrupted (Ctrl-C); a job that was running can be resumed

        Examples:
          clusternet train config/jobs/breast-cancer.yaml
          clusternet train my-job.yaml --set training.epochs=5 --plot loss.png
          clusternet predict breast-cancer --input rows.csv --output predictions.csv
          clusternet serve
        """;

    private readonly CommandHost _host;
    private readonly CancellationToken _interrupt;
    private readonly Option<string?> _dataDirectory = new("--data-dir")
    {
        Description = $"Folder of the store and the logs [default: {DataDirectoryVariable}, or clusternet in the user's local application data]",
        HelpName = "DIR",
        Recursive = true,
    };

    private readonly Option<bool> _json = new("--json") { Description = "Print one JSON document on standard output, and nothing else there", Recursive = true };

    private readonly RemoteOptions _remote = new();

    private CommandLine(CommandHost host, CancellationToken interrupt)
    {
        _host = host;
        _interrupt = interrupt;
    }

    /// <summary>Runs one command line and gives its exit code.</summary>
    /// <param name="args">without the program's name</param>
    /// <param name="host">what the commands work with</param>
    /// <param name="interrupt">fires when the user wants to stop</param>
    public static Task<int> RunAsync(IReadOnlyList<string> args, CommandHost host, CancellationToken interrupt) => new CommandLine(host, interrupt).RunAsync(args);

    /// <summary>Runs <paramref name="body"/> when <paramref name="command"/> is asked for.</summary>
    public void On(Command command, Func<ParseResult, CommandRun, Task<int>> body) =>
        command.SetAction((parse, _) => MakeRun(parse) is { } run ? run.GuardAsync(it => body(parse, it)) : Task.FromResult(ExitCode.BadInput));

    /// <summary>The same for a command that asks a cluster, which then may be one that runs elsewhere.</summary>
    public void OnCluster(Command command, Func<ParseResult, CommandRun, Task<int>> body) => On(_remote.AddTo(command), body);

    /// <summary>The data directory of who says nothing of it on the command line.</summary>
    public static string UsualDataDirectory(Func<string, string?> environment) => environment(DataDirectoryVariable) is { Length: > 0 } given
        ? Path.GetFullPath(given)
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "clusternet");

    private async Task<int> RunAsync(IReadOnlyList<string> args)
    {
        var root = new RootCommand("ClusterNet trains deep-learning models on a cluster of .NET nodes and serves them from the same cluster.")
        {
            _dataDirectory,
            _json,
            TrainCommand.Create(this),
            ResumeCommand.Create(this),
            EvaluateCommand.Create(this),
            PredictCommand.Create(this),
            JobsCommand.Create(this),
            ModelsCommand.Create(this),
            DatasetsCommand.Create(this),
            ServeCommand.Create(this),
            KeysCommand.Create(this),
            AuditCommand.Create(this),
            NodeCommand.Create(this),
            ClusterCommand.Create(this),
            HealthCommand.Create(this),
            TopCommand.Create(this),
        };
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithEpilogue((HelpAction)help.Action!, root);

        var parse = root.Parse(args.Count == 0 ? ["--help"] : args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parse.Errors.Count > 0 && parse.Action is ParseErrorAction)
            return Refuse(parse);
        // signals are this program's own affair: see Interrupts
        var configuration = new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
            Output = _host.Screen.Out.Profile.Out.Writer,
            Error = _host.Screen.Error.Profile.Out.Writer,
        };
        return await parse.InvokeAsync(configuration, CancellationToken.None);
    }

    private int Refuse(ParseResult parse)
    {
        var command = parse.CommandResult.Command;
        var words = command.Subcommands.Select(sub => sub.Name).Concat(command.Options.Select(option => option.Name)).Append("--json").Append("--data-dir").Append("--help").ToArray();
        var faults = new List<Fault>();
        foreach (var word in parse.UnmatchedTokens)
            faults.Add(new Fault($"argument '{word}'", command.Subcommands.Count > 0 && !word.StartsWith('-') ? "no such command" : "not understood") { Found = word, Candidates = words });
        // a word that was not understood explains the other errors
        if (faults.Count == 0)
            faults.AddRange(parse.Errors.Select(error => new Fault("", error.Message.TrimEnd('.'))));
        var path = string.Join(' ', Path(parse.CommandResult));
        var run = new CommandRun(_host, "", parse.GetResult(_json) is { Implicit: false }, _interrupt);
        var exitCode = run.Report(ExitCode.BadInput, "bad-input", "the command line can't be used", faults);
        if (!run.Json)
            _host.Screen.ErrorLine($"'{path} --help' tells what is possible.");
        return exitCode;

        static IEnumerable<string> Path(System.CommandLine.Parsing.CommandResult result) =>
            (result.Parent is System.CommandLine.Parsing.CommandResult parent ? Path(parent) : []).Append(result.Parent is null ? "clusternet" : result.Command.Name);
    }

    private CommandRun? MakeRun(ParseResult parse)
    {
        var json = parse.GetValue(_json);
        try
        {
            var directory = parse.GetValue(_dataDirectory) is { Length: > 0 } given ? Path.GetFullPath(given) : UsualDataDirectory(_host.Environment);
            if (File.Exists(directory))
                throw new InputException("--data-dir", $"'{directory}' is a file; give a folder");
            return new CommandRun(_host, directory, json, _interrupt)
            {
                GivenDataDirectory = parse.GetValue(_dataDirectory) is { Length: > 0 } ? directory : null,
                Remote = _remote.Read(parse, _host.Environment),
            };
        }
        catch (Exception error) when (error is InputException or ArgumentException or NotSupportedException or PathTooLongException)
        {
            var faults = error is InputException input ? input.Faults : [new Fault("--data-dir", error.Message)];
            new CommandRun(_host, "", json, _interrupt).Report(ExitCode.BadInput, "bad-input", "the command line can't be used", faults);
            return null;
        }
    }

    private sealed class HelpWithEpilogue(HelpAction help, Command root) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var exitCode = help.Invoke(parseResult);
            if (parseResult.CommandResult.Command == root)
                parseResult.InvocationConfiguration.Output.WriteLine(Epilogue);
            return exitCode;
        }
    }
}
