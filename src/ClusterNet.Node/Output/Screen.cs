using Spectre.Console;

namespace ClusterNet.Node.Output;

/// <summary>Where a command writes: what was asked for to <see cref="Out"/>, what went wrong to <see cref="Error"/>.</summary>
/// <param name="Out">standard output</param>
/// <param name="Error">standard error</param>
/// <param name="In">standard input</param>
/// <param name="IsTerminal">whether <paramref name="Out"/> is a terminal whose lines can be written anew</param>
/// <param name="IsErrorTerminal">whether <paramref name="Error"/> is</param>
internal sealed record Screen(IAnsiConsole Out, IAnsiConsole Error, Func<Stream> In, bool IsTerminal, bool IsErrorTerminal)
{
    // tables that go to a file or another program are not cut at the width of a screen nobody looks at
    private const int WidthWithoutTerminal = 160;

    /// <summary>That of this process.</summary>
    public static Screen OfProcess()
    {
        try
        {
            Console.OutputEncoding = new System.Text.UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        }
        catch (IOException)
        {
            // no console at all: nothing to set
        }
        var output = Make(Console.Out, Console.IsOutputRedirected);
        var error = Make(Console.Error, Console.IsErrorRedirected);
        return new Screen(output, error, Console.OpenStandardInput, IsLive(output, Console.IsOutputRedirected), IsLive(error, Console.IsErrorRedirected));
    }

    /// <summary>One line to standard output as it is: no markup, no wrapping.</summary>
    public void Line(string text) => Out.Profile.Out.Writer.WriteLine(text);

    /// <summary>One line to standard error as it is.</summary>
    public void ErrorLine(string text) => Error.Profile.Out.Writer.WriteLine(text);

    private static IAnsiConsole Make(TextWriter writer, bool redirected)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = redirected ? AnsiSupport.No : Ansi(),
            // a terminal on standard error is one too where standard output goes to a file
            Interactive = redirected ? InteractionSupport.No : InteractionSupport.Yes,
        });
        if (redirected)
            console.Profile.Width = WidthWithoutTerminal;
        return console;
    }

    private static AnsiSupport Ansi()
    {
        if (OperatingSystem.IsWindows())
            return AnsiSupport.Detect;
        return Environment.GetEnvironmentVariable("TERM") is null or "" or "dumb" ? AnsiSupport.No : AnsiSupport.Yes;
    }

    private static bool IsLive(IAnsiConsole console, bool redirected) => !redirected && console.Profile.Capabilities is { Ansi: true, Interactive: true };
}
