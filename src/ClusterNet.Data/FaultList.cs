using ClusterNet.Core.Faults;

namespace ClusterNet.Data;

/// <summary>Collects what is wrong with data, up to a number that a person reads.</summary>
internal sealed class FaultList
{
    /// <summary>Faults of one kind of data before reading stops.</summary>
    public const int Most = 20;

    private readonly List<Fault> _faults = [];

    /// <summary>Whether it is time to stop looking.</summary>
    public bool IsFull => _faults.Count >= Most;

    /// <summary>Whether nothing is wrong so far.</summary>
    public bool IsEmpty => _faults.Count == 0;

    /// <summary>Adds a fault, unless the list is full.</summary>
    public void Add(string place, string message) => Add(new Fault(place, message));

    /// <inheritdoc cref="Add(string, string)"/>
    public void Add(Fault fault)
    {
        if (!IsFull)
            _faults.Add(fault);
    }

    /// <summary>A name that is not among those there are.</summary>
    /// <param name="place">the setting that has the name</param>
    /// <param name="what">column, array, ...</param>
    /// <param name="name">the name</param>
    /// <param name="where">the file</param>
    /// <param name="known">the names there are</param>
    public void AddUnknown(string place, string what, string name, string where, IReadOnlyList<string> known)
    {
        var some = known.Count <= 40 ? string.Join(", ", known) : $"{string.Join(", ", known.Take(40))} and {known.Count - 40} more";
        Add(new Fault(place, $"no {what} '{name}' in {where}; there {(known.Count == 1 ? "is" : "are")} {some}{DelimiterHint(known)}") { Found = name, Candidates = known });
    }

    /// <summary>One column that holds the names of several: cells are told apart by something else than was said.</summary>
    private static string DelimiterHint(IReadOnlyList<string> known)
    {
        var at = known.Count == 1 ? known[0].IndexOfAny([';', '\t', '|', ',']) : -1;
        return at < 0 ? "" : $"; is {(known[0][at] == '\t' ? "a tab" : $"'{known[0][at]}'")} the delimiter (data.csv.delimiter)?";
    }

    /// <exception cref="InputException">something is wrong</exception>
    public void ThrowIfAny()
    {
        if (IsFull)
            _faults.Add(new Fault("", $"there may be more: these are the first {Most} faults"));
        if (!IsEmpty)
            throw new InputException(_faults);
    }
}
