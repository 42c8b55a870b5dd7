using Akka.Event;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;

namespace ClusterNet.Cluster.Telemetry;

/// <summary>A log whose every line says, as properties beside its text, which job, generation and step it is about. What a line's text says of them itself is what its properties say.</summary>
/// <param name="log">where lines go</param>
/// <param name="job">the job; null while it is not known</param>
/// <param name="now">generation and step at the time of a line; negative for none</param>
internal sealed class JobLog(ILoggingAdapter log, Func<JobId?> job, Func<(long Generation, long Step)> now) : ILoggingAdapter
{
    /// <summary>The properties' names.</summary>
    public const string Job = "Job", Generation = "Generation", Step = "Step";

    /// <summary>What a log may say of faults: how many, and where the first ones are. Their words may quote a cell of the data.</summary>
    public static string WithoutData(InputException exception) =>
        $"the input can't be used, {exception.Faults.Count} faults, the first at {string.Join(" and ", exception.Faults.Take(3).Select(fault => fault.Place))}; 'clusternet jobs show' tells all of it";

    /// <inheritdoc/>
    public ILogMessageFormatter Formatter => log.Formatter;

    /// <inheritdoc/>
    public bool IsDebugEnabled => log.IsDebugEnabled;

    /// <inheritdoc/>
    public bool IsInfoEnabled => log.IsInfoEnabled;

    /// <inheritdoc/>
    public bool IsWarningEnabled => log.IsWarningEnabled;

    /// <inheritdoc/>
    public bool IsErrorEnabled => log.IsErrorEnabled;

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => log.IsEnabled(logLevel);

    /// <inheritdoc/>
    public void Log(LogLevel logLevel, Exception? cause, string format) => WithProperties(format).Log(logLevel, cause, format);

    /// <inheritdoc/>
    public void Log(LogLevel logLevel, Exception? cause, LogMessage message) => WithProperties(message.Format).Log(logLevel, cause, message);

    private ILoggingAdapter WithProperties(string format)
    {
        var (generation, step) = now();
        var line = log;
        if (job() is { } known)
            line = With(line, Job, known.Value);
        if (generation >= 0)
            line = With(line, Generation, generation);
        return step >= 0 ? With(line, Step, step) : line;

        // a property of the same name would take the place of the text's own value
        ILoggingAdapter With(ILoggingAdapter to, string name, object value) => format.Contains($"{{{name}}}", StringComparison.Ordinal) ? to : to.WithContext(name, value);
    }
}
