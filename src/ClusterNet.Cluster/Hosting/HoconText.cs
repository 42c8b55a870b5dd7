using Akka.Configuration;
using ClusterNet.Cluster.Remoting;

namespace ClusterNet.Cluster.Hosting;

/// <summary>A user's HOCON, looked at before Akka sees it: its parser passes over a bracket that is left open, or looks for its end for ever.</summary>
internal static class HoconText
{
    private const string FrameSize = "akka.remote.dot-netty.tcp.maximum-frame-size";

    /// <summary>What is wrong with it, a sentence without a full stop; null where nothing is.</summary>
    public static string? Fault(string text)
    {
        if (Unbalanced(text) is { } fault)
            return fault;
        try
        {
            // what Akka.Remote itself takes for too little, it says
            return ConfigurationFactory.ParseString(text).GetByteSize(FrameSize, null) is < Pieces.PieceBytes + Pieces.HeadBytes and var bytes
                ? $"{FrameSize} is {bytes} bytes, and what is sent in pieces needs {Pieces.PieceBytes + Pieces.HeadBytes}: leave it out, or give it as much"
                : null;
        }
#pragma warning disable CA1031 // the parser throws what it happens to stumble over
        catch (Exception error)
#pragma warning restore CA1031
        {
            return $"not valid HOCON: {error.Message}";
        }
    }

    private static string? Unbalanced(string text)
    {
        var open = new Stack<(char Bracket, int Line)>();
        var line = 1;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c == '\n')
            {
                line++;
            }
            else if (c == '#' || (c == '/' && i + 1 < text.Length && text[i + 1] == '/'))
            {
                while (i + 1 < text.Length && text[i + 1] != '\n')
                    i++;
            }
            else if (c == '"')
            {
                var (end, lines) = EndOfString(text, i);
                if (end < 0)
                    return $"line {line}: a quoted text does not end";
                i = end;
                line += lines;
            }
            else if (c is '{' or '[')
            {
                open.Push((c, line));
            }
            else if (c is '}' or ']' && (!open.TryPop(out var last) || last.Bracket != (c == '}' ? '{' : '[')))
            {
                return $"line {line}: '{c}' closes nothing";
            }
        }
        return open.TryPeek(out var left) ? $"line {left.Line}: '{left.Bracket}' is not closed" : null;
    }

    /// <summary>Where the text that starts at a quote ends, and the line ends within it; -1 where it does not end.</summary>
    private static (int End, int Lines) EndOfString(string text, int start)
    {
        if (string.CompareOrdinal(text, start, "\"\"\"", 0, 3) == 0)
        {
            var end = text.IndexOf("\"\"\"", start + 3, StringComparison.Ordinal);
            return end < 0 ? (-1, 0) : (end + 2, text.AsSpan(start, end - start).Count('\n'));
        }
        for (var i = start + 1; i < text.Length && text[i] != '\n'; i++)
        {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                return (i, 0);
        }
        return (-1, 0);
    }
}
