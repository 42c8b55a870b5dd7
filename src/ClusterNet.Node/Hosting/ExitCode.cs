namespace ClusterNet.Node.Hosting;

/// <summary>What the process says to whoever started it; listed in <c>clusternet --help</c> and README.md.</summary>
internal static class ExitCode
{
    /// <summary>What was asked for was done.</summary>
    public const int Done = 0;

    /// <summary>It could not be done, through no fault of the input.</summary>
    public const int Failed = 1;

    /// <summary>The input can't be used; nothing was done.</summary>
    public const int BadInput = 2;

    /// <summary>Stopped by Ctrl-C or a request to terminate; a job that was running can be resumed.</summary>
    public const int Interrupted = 130;
}
