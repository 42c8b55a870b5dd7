namespace ClusterNet.Data.Sources;

/// <summary>One column of a table, one value a sample.</summary>
internal abstract record Column(string Name);

/// <param name="Name">as in the source</param>
/// <param name="Values">NaN where missing. float32 like every request, so that a cell has the same bits on every way to a model.</param>
internal sealed record NumberColumn(string Name, float[] Values) : Column(Name);

/// <param name="Name">as in the source</param>
/// <param name="Codes">an index into <paramref name="Words"/>, -1 where missing</param>
/// <param name="Words">each word once, in the order of its first appearance</param>
internal sealed record WordColumn(string Name, int[] Codes, IReadOnlyList<string> Words) : Column(Name)
{
    /// <summary>The word of one sample, null where missing.</summary>
    public string? this[int row] => Codes[row] < 0 ? null : Words[Codes[row]];
}

/// <summary>Takes cells one after the other and keeps them in their final type.</summary>
internal abstract class ColumnBuilder(string name)
{
    /// <summary>The column's name.</summary>
    protected string Name { get; } = name;

    /// <summary>Adds a missing value.</summary>
    public abstract void AddMissing();

    /// <summary>Adds a trimmed cell; false, and a missing value, where it is not of the column's type.</summary>
    public abstract bool TryAdd(ReadOnlySpan<char> cell);

    /// <summary>The column; the builder is empty afterwards.</summary>
    public abstract Column Build();
}

/// <summary>Numbers.</summary>
internal sealed class NumberColumnBuilder(string name) : ColumnBuilder(name)
{
    private readonly Chunks<float> _values = new();

    /// <inheritdoc/>
    public override void AddMissing() => _values.Add(float.NaN);

    /// <inheritdoc/>
    public override bool TryAdd(ReadOnlySpan<char> cell)
    {
        var isNumber = Cells.TryNumber(cell, out var number);
        _values.Add(isNumber ? number : float.NaN);
        return isNumber;
    }

    /// <inheritdoc/>
    public override Column Build() => new NumberColumn(Name, _values.Take());
}

/// <summary>Words, each kept once.</summary>
internal sealed class WordColumnBuilder(string name, int mostWords = int.MaxValue) : ColumnBuilder(name)
{
    private readonly Chunks<int> _codes = new();
    private readonly WordIndex _words = new();

    /// <summary>Whether there were more different words than allowed; those beyond count as missing.</summary>
    public bool Overflowed { get; private set; }

    /// <inheritdoc/>
    public override void AddMissing() => _codes.Add(-1);

    /// <inheritdoc/>
    public override bool TryAdd(ReadOnlySpan<char> cell)
    {
        var code = _words.CodeOf(Cells.Word(cell));
        if (code >= mostWords)
        {
            Overflowed = true;
            code = -1;
        }
        _codes.Add(code);
        return true;
    }

    /// <inheritdoc/>
    public override Column Build() => new WordColumn(Name, _codes.Take(), _words.Words);
}

/// <summary>Numbers words in the order of their first appearance.</summary>
internal sealed class WordIndex
{
    private readonly Dictionary<string, int> _codes = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly List<string> _words = [];

    public WordIndex() => _lookup = _codes.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>All words so far.</summary>
    public IReadOnlyList<string> Words => _words;

    /// <summary>The number of a word, a new one where it was not seen before.</summary>
    public int CodeOf(ReadOnlySpan<char> word)
    {
        if (_lookup.TryGetValue(word, out var code))
            return code;
        var text = word.ToString();
        code = _words.Count;
        _words.Add(text);
        _codes.Add(text, code);
        return code;
    }
}

/// <summary>A list that grows without copying what it holds, so that a long column never stands in memory three times.</summary>
internal sealed class Chunks<T>
{
    private const int ChunkLength = 1 << 14;
    private readonly List<T[]> _full = [];
    private T[] _last = [];
    private int _used;

    /// <summary>Items so far.</summary>
    public int Count => checked((_full.Count * ChunkLength) + _used);

    /// <summary>Appends an item.</summary>
    public void Add(T item)
    {
        if (_used == _last.Length)
            Grow();
        _last[_used++] = item;
    }

    /// <summary>All items in one array; none stay behind.</summary>
    public T[] Take()
    {
        var items = new T[Count];
        for (var i = 0; i < _full.Count; i++)
            _full[i].CopyTo(items, i * ChunkLength);
        _last.AsSpan(0, _used).CopyTo(items.AsSpan(_full.Count * ChunkLength));
        _full.Clear();
        _last = [];
        _used = 0;
        return items;
    }

    private void Grow()
    {
        if (_last.Length < ChunkLength)
        {
            // the first chunk grows as a list does: a request of a few rows takes no 64 KB for each column
            Array.Resize(ref _last, Math.Min(ChunkLength, Math.Max(16, _last.Length * 4)));
            return;
        }
        _full.Add(_last);
        _last = new T[ChunkLength];
        _used = 0;
    }
}
