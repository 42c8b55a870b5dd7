using System.Globalization;
using ClusterNet.Core.Faults;

namespace ClusterNet.Core.Jobs;

/// <summary>
/// Reads a map of settings into typed values and collects every fault on the way: a wrong type, a value out of range, a name that nobody asked for.
/// Each name is asked for once; <see cref="Finish"/> then reports those that were never asked for.
/// </summary>
public sealed class SettingReader
{
    private readonly IReadOnlyDictionary<string, SettingValue> _entries;
    private readonly SortedSet<string> _known = new(StringComparer.Ordinal);

    /// <param name="entries">the settings</param>
    /// <param name="path">where they stand, e.g. <c>model</c>; empty at the top</param>
    /// <param name="faults">receives the faults</param>
    public SettingReader(IReadOnlyDictionary<string, SettingValue> entries, string path, ICollection<Fault> faults)
    {
        _entries = entries;
        Path = path;
        Faults = faults;
    }

    /// <summary>Where these settings stand.</summary>
    public string Path { get; }

    /// <summary>What was found wrong so far.</summary>
    public ICollection<Fault> Faults { get; }

    /// <summary>The path of one setting.</summary>
    public string PathOf(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    /// <summary>Whether the setting was given.</summary>
    public bool Has(string name) => _entries.ContainsKey(name);

    /// <summary>Adds a fault at one setting.</summary>
    public void Fault(string name, string message) => Faults.Add(new Fault(PathOf(name), message));

    /// <summary>The setting as it was given, or null.</summary>
    public SettingValue? Raw(string name)
    {
        _known.Add(name);
        return _entries.GetValueOrDefault(name);
    }

    /// <summary>A word or text; <paramref name="fallback"/> where it is not given or not a scalar.</summary>
    public string? Text(string name, string? fallback = null)
    {
        switch (Raw(name))
        {
            case null:
                return fallback;
            case SettingValue.Scalar scalar:
                return scalar.Text;
            default:
                Fault(name, "a list or map stands where a single value belongs");
                return fallback;
        }
    }

    /// <summary>A whole number between <paramref name="least"/> and <paramref name="most"/>.</summary>
    public long? Integer(string name, long least = long.MinValue, long most = long.MaxValue) =>
        Text(name) is not { } text ? null : ParseInteger(name, text, least, most);

    /// <summary>A whole number, or <paramref name="fallback"/>.</summary>
    public int Integer(string name, int fallback, int least, int most = int.MaxValue) => (int)(Integer(name, least, (long)most) ?? fallback);

    /// <summary>A finite number between <paramref name="least"/> and <paramref name="most"/>.</summary>
    public double? Number(string name, double least = double.MinValue, double most = double.MaxValue) =>
        Text(name) is not { } text ? null : ParseNumber(name, text, least, most);

    /// <summary>A number, or <paramref name="fallback"/>.</summary>
    public double Number(string name, double fallback, double least, double most = double.MaxValue) => Number(name, least, most) ?? fallback;

    /// <summary><c>true</c> or <c>false</c>, or <paramref name="fallback"/>.</summary>
    public bool Truth(string name, bool fallback) => Truth(name) ?? fallback;

    /// <summary><c>true</c> or <c>false</c>.</summary>
    public bool? Truth(string name)
    {
        if (Text(name) is not { } text)
            return null;
        if (bool.TryParse(text, out var value))
            return value;
        Fault(name, $"'{text}' is not true or false");
        return null;
    }

    /// <summary>One of the words in <paramref name="choices"/>.</summary>
    public T? Choice<T>(string name, IReadOnlyDictionary<string, T> choices)
        where T : struct
    {
        if (Text(name) is not { } text)
            return null;
        if (choices.TryGetValue(text, out var value))
            return value;
        Faults.Add(Core.Faults.Fault.Unknown(PathOf(name), text, [.. choices.Keys]));
        return null;
    }

    /// <summary>One of the words in <paramref name="choices"/>, or <paramref name="fallback"/>.</summary>
    public T Choice<T>(string name, T fallback, IReadOnlyDictionary<string, T> choices)
        where T : struct => Choice(name, choices) ?? fallback;

    /// <summary>A list of texts; a single value counts as a list of one; empty where it is not given.</summary>
    public IReadOnlyList<string> Texts(string name)
    {
        switch (Raw(name))
        {
            case null:
                return [];
            case SettingValue.Scalar scalar:
                return [scalar.Text];
            case SettingValue.List list when list.Items.All(item => item is SettingValue.Scalar):
                return [.. list.Items.Cast<SettingValue.Scalar>().Select(item => item.Text)];
            default:
                Fault(name, "a list of single values belongs here");
                return [];
        }
    }

    /// <summary>A list of whole numbers between <paramref name="least"/> and <paramref name="most"/>; empty where it is not given.</summary>
    public IReadOnlyList<int> Integers(string name, int least = int.MinValue, int most = int.MaxValue) =>
        [.. Texts(name).Select(text => (int)(ParseInteger(name, text, least, most) ?? least))];

    /// <summary>A list of numbers; empty where it is not given.</summary>
    public IReadOnlyList<double> Numbers(string name, double least = double.MinValue, double most = double.MaxValue) =>
        [.. Texts(name).Select(text => ParseNumber(name, text, least, most) ?? least)];

    /// <summary>A map within this one; an empty one where it is not given.</summary>
    public SettingReader Section(string name)
    {
        var value = Raw(name);
        if (value is not (null or SettingValue.Map))
            Fault(name, "settings by name belong here, indented below it");
        return new SettingReader((value as SettingValue.Map)?.Entries ?? new Dictionary<string, SettingValue>(), PathOf(name), Faults);
    }

    /// <summary>Marks names as known without reading them.</summary>
    public void Allow(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
            _known.Add(name);
    }

    /// <summary>Every setting but those named, as given: for whoever knows their meaning. All count as asked for.</summary>
    public IReadOnlyDictionary<string, SettingValue> Others(params IReadOnlyList<string> names)
    {
        var others = _entries.Where(entry => !names.Contains(entry.Key, StringComparer.Ordinal)).ToDictionary(StringComparer.Ordinal);
        _known.UnionWith(others.Keys);
        return others;
    }

    /// <summary>Reports every setting that was given and never asked for.</summary>
    public void Finish()
    {
        foreach (var name in _entries.Keys.Where(name => !_known.Contains(name)))
        {
            Faults.Add(new Fault(PathOf(name), $"no setting of this name; known here: {string.Join(", ", _known)}")
            {
                Found = name,
                Candidates = [.. _known],
            });
        }
    }

    private long? ParseInteger(string name, string text, long least, long most)
    {
        if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
            Fault(name, $"'{text}' is not a whole number");
        else if (value < least || value > most)
            Fault(name, $"{text} is out of range: {Between(least, most, long.MinValue, long.MaxValue)}");
        else
            return value;
        return null;
    }

    private double? ParseNumber(string name, string text, double least, double most)
    {
        if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) || !double.IsFinite(value))
            Fault(name, $"'{text}' is not a finite number");
        else if (value < least || value > most)
            Fault(name, $"{text} is out of range: {Between(least, most, double.MinValue, double.MaxValue)}");
        else
            return value;
        return null;
    }

    private static string Between<T>(T least, T most, T lowest, T highest)
        where T : IEquatable<T> =>
        most.Equals(highest) || most is long and int.MaxValue ? FormattableString.Invariant($"at least {least}")
        : least.Equals(lowest) ? FormattableString.Invariant($"at most {most}")
        : FormattableString.Invariant($"{least} to {most}");
}
