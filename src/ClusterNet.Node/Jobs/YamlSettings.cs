using System.Globalization;
using System.Text.RegularExpressions;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlScalar = YamlDotNet.Core.Events.Scalar;

namespace ClusterNet.Node.Jobs;

/// <summary>Reads YAML into settings, with the line of each. Takes the plain part of YAML only: no anchors, aliases, tags or second documents.</summary>
internal sealed partial class YamlSettings
{
    private const int MaxDepth = 32;
    private const int MaxFaults = 50;
    private readonly string _source;
    private readonly List<Fault> _faults = [];
    private readonly Dictionary<string, string> _places = new(StringComparer.Ordinal);

    private YamlSettings(string source) => _source = source;

    /// <summary>Reads a whole file.</summary>
    /// <param name="text">YAML</param>
    /// <param name="source">what it comes from, for faults</param>
    /// <param name="names">the settings at the top, for faults</param>
    /// <exception cref="InputException">it is not YAML, or not a map of settings</exception>
    public static SettingsDocument Read(string text, string source, string names = "name, data, model, training")
    {
        var reader = new YamlSettings(source);
        var value = reader.Parse(text);
        if (value is not (null or SettingValue.Map))
            reader._faults.Add(new Fault(source, $"settings by name belong here ({names}), not a list or a single value"));
        else if (value is null && reader._faults.Count == 0)
            reader._faults.Add(new Fault(source, $"is empty: settings belong here ({names})"));
        return reader._faults.Count == 0 ? new SettingsDocument((SettingValue.Map)value!, source, reader._places) : throw new InputException(reader._faults);
    }

    /// <summary>Reads the value of one setting, as given on a command line.</summary>
    /// <exception cref="InputException">it is not YAML</exception>
    public static SettingValue ReadValue(string text, string source)
    {
        var reader = new YamlSettings(source);
        var value = reader.Parse(text);
        return reader._faults.Count == 0 ? value ?? new SettingValue.Scalar("") : throw new InputException([.. reader._faults.Select(fault => fault with { Place = source })]);
    }

    private SettingValue? Parse(string text)
    {
        foreach (var tab in LeadingTab().EnumerateMatches(text))
            Fault(text.AsSpan(0, tab.Index).Count('\n') + 1L, 0, "a tab stands in the indentation; YAML takes spaces only");
        if (_faults.Count > 0)
            return null;
        var parser = new Parser(new StringReader(text));
        try
        {
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _))
                return null;
            parser.Consume<DocumentStart>();
            var value = ReadNode(parser, "", 0);
            parser.Consume<DocumentEnd>();
            if (!parser.Accept<StreamEnd>(out _))
                Fault(parser.Current!.Start.Line, 0, "a second document starts here; a file holds one");
            return value;
        }
        catch (YamlException error)
        {
            Fault(error.Start.Line, error.Start.Column, $"not valid YAML: {Explain(error)}");
            return null;
        }
        catch (Exception error) when (error is InvalidOperationException or ArgumentException)
        {
            // YamlDotNet has no words for a comment in a list that is not closed, nor for a tag that is no URI
            Fault(parser.Current?.End.Line ?? 1, 0, $"not valid YAML behind this line: {(error is ArgumentException ? "tags ('!') are not taken here" : "a list that begins with '[' or a map that begins with '{' is not closed")}");
            return null;
        }
    }

    private SettingValue ReadNode(Parser parser, string path, int depth)
    {
        var node = parser.Current as NodeEvent;
        if (depth > MaxDepth)
            throw new YamlException(node?.Start ?? Mark.Empty, node?.End ?? Mark.Empty, $"nested deeper than {MaxDepth} levels");
        if (node is { Anchor.IsEmpty: false })
            Fault(node.Start.Line, node.Start.Column, $"anchors (&{node.Anchor}) and aliases (*{node.Anchor}) are not taken here: write the value out");
        else if (node is { Tag.IsEmpty: false })
            Fault(node.Start.Line, node.Start.Column, $"tags ({node.Tag}) are not taken here: write the plain value");
        if (path.Length > 0 && node is not null)
            _places.TryAdd(path, string.Create(CultureInfo.InvariantCulture, $"{_source}:{node.Start.Line}"));

        if (parser.TryConsume<YamlScalar>(out var scalar))
            return new SettingValue.Scalar(scalar is { Style: ScalarStyle.Plain, Value: "~" } ? "" : scalar.Value);
        if (parser.TryConsume<SequenceStart>(out _))
        {
            var items = new List<SettingValue>();
            while (!parser.TryConsume<SequenceEnd>(out _))
                items.Add(ReadNode(parser, $"{path}[{items.Count}]", depth + 1));
            return new SettingValue.List(items);
        }
        if (parser.TryConsume<MappingStart>(out _))
            return ReadMap(parser, path, depth);
        if (parser.TryConsume<AnchorAlias>(out var alias))
            Fault(alias.Start.Line, alias.Start.Column, $"anchors (&{alias.Value}) and aliases (*{alias.Value}) are not taken here: write the value out");
        return new SettingValue.Scalar("");
    }

    private SettingValue.Map ReadMap(Parser parser, string path, int depth)
    {
        var entries = new Dictionary<string, SettingValue>(StringComparer.Ordinal);
        var lines = new Dictionary<string, long>(StringComparer.Ordinal);
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            var start = parser.Current!.Start;
            if (ReadNode(parser, "", depth + 1) is not SettingValue.Scalar { Text: var name })
            {
                Fault(start.Line, start.Column, "a name belongs before the colon, not a list or a map");
                name = "";
            }
            var inner = path.Length == 0 ? name : $"{path}.{name}";
            var isNew = lines.TryAdd(name, start.Line);
            if (!isNew)
                Fault(start.Line, start.Column, $"'{inner}' is given twice, first in line {lines[name]}");
            // the line of the name says where a setting is, also where its value begins further below
            else
                _places[inner] = string.Create(CultureInfo.InvariantCulture, $"{_source}:{start.Line}");
            var value = ReadNode(parser, inner, depth + 1);
            if (isNew)
                entries.Add(name, value);
        }
        return new SettingValue.Map(entries);
    }

    private void Fault(long line, long column, string message)
    {
        if (_faults.Count < MaxFaults)
            _faults.Add(new Fault(column > 0 ? FormattableString.Invariant($"{_source}:{line}:{column}") : FormattableString.Invariant($"{_source}:{line}"), message));
    }

    // YamlDotNet speaks of its own grammar; the two slips that newcomers make deserve plainer words
    private static string Explain(YamlException error)
    {
        var message = error.Message.TrimEnd('.', ' ');
        if (message.Contains("did not find expected key", StringComparison.Ordinal) || message.Contains("mapping values are not allowed", StringComparison.OrdinalIgnoreCase))
            return "the indentation does not fit the lines above, a colon is missing after a name, or a text with ': ' in it needs quotes";
        if (message.Contains("did not find expected '-' indicator", StringComparison.Ordinal))
            return "a list item must start with '- ', indented like the items above";
        return message.Length == 0 ? "not understood" : char.ToLowerInvariant(message[0]) + message[1..];
    }

    [GeneratedRegex(@"^ *\t", RegexOptions.Multiline)]
    private static partial Regex LeadingTab();
}
