using System.IO.Compression;
using ClusterNet.Core.Faults;
using ClusterNet.Core.Jobs;
using CsvHelper;

namespace ClusterNet.Data.Sources;

/// <summary>One row of a table as a <see cref="TableBuilder"/> takes it.</summary>
internal interface IRow
{
    /// <summary>Where the row stands.</summary>
    string Place { get; }

    /// <summary>A trimmed cell, valid until the next one is asked for; empty where there is no value.</summary>
    ReadOnlySpan<char> Cell(int index);
}

/// <summary>The rows of delimited text, one in memory at a time.</summary>
internal sealed class CsvRows : IRow, IDisposable
{
    private const int MaxRecordBytes = 16 << 20;
    private readonly CsvReader _reader;
    private readonly Func<bool> _read;
    private readonly char[] _cell = new char[Cells.MaxLength];
    private bool _peeked;

    /// <param name="stream">UTF-8, or what its byte order mark says; owned from here on</param>
    /// <param name="name">how faults call it</param>
    /// <param name="csv">how cells are told apart</param>
    /// <exception cref="InputException">nothing in it, or an unusable header</exception>
    public CsvRows(Stream stream, string name, CsvSpec csv)
    {
        if (!char.IsAscii(csv.Delimiter) || !char.IsAscii(csv.Quote) || csv.Delimiter == csv.Quote || csv.Delimiter is '\n' or '\r')
            throw new InputException("data.csv", $"delimiter '{csv.Delimiter}' and quote '{csv.Quote}' must be two different ASCII characters, no line break");
        Name = name;
        _reader = CsvReader.Create(
            stream,
            new CsvReaderOptions
            {
                Separator = csv.Delimiter,
                HasHeader = csv.Header,
                Quote = csv.Quote,
                TrimWhitespace = true,
                MaxRecordSize = MaxRecordBytes,
                TrackLineNumbers = true,
                MalformedData = CsvMalformedDataHandling.Throw,
                FieldCountMismatch = CsvFieldCountHandling.Allow,
            },
            leaveOpen: false);
        _read = _reader.Read;
        try
        {
            Columns = ReadColumns(csv.Header);
        }
        catch
        {
            _reader.Dispose();
            throw;
        }
    }

    /// <summary>How faults call the source.</summary>
    public string Name { get; }

    /// <summary>The header, or <c>c0</c>, <c>c1</c>, ... for as many cells as the first row has.</summary>
    public IReadOnlyList<string> Columns { get; }

    /// <summary>The line of the file where the current row starts, from 1.</summary>
    public int Line => (int)Math.Min(_reader.LineNumber, int.MaxValue);

    /// <inheritdoc/>
    public string Place => $"{Name}:{Line}";

    /// <summary>Cells in the current row.</summary>
    public int CellCount => _reader.FieldCount;

    /// <summary>Opens a file, decompressing it where its name ends in <c>.gz</c>.</summary>
    public static CsvRows Open(string path, CsvSpec csv) => new(Decompressed(SourceFile.OpenRead(path), path), path, csv);

    /// <summary><paramref name="stream"/>, decompressed where <paramref name="name"/> ends in <c>.gz</c>.</summary>
    public static Stream Decompressed(Stream stream, string name) =>
        name.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? new GZipStream(stream, CompressionMode.Decompress) : stream;

    /// <summary>Goes to the next row; false at the end.</summary>
    /// <exception cref="InputException">the text is not well formed</exception>
    public bool Read()
    {
        if (_peeked)
        {
            _peeked = false;
            return true;
        }
        return Guarded(_read);
    }

    /// <inheritdoc/>
    public ReadOnlySpan<char> Cell(int index)
    {
        if (_reader[index].Length > _cell.Length)
        {
            throw new InputException(
                Place,
                $"column '{Columns[index]}': a cell of {_reader[index].Length} bytes, at most {_cell.Length} are read; an unclosed quote before it is the usual cause (data.csv.quote)");
        }
        var cell = _cell.AsSpan(0, _reader.GetChars(index, _cell)).Trim();
        if (cell.Contains('\uFFFD'))
            throw new InputException(Place, $"column '{Columns[index]}': {Cells.Shown(cell)} is not UTF-8; save the file as UTF-8");
        return cell;
    }

    /// <summary>A fault where the current row has not as many cells as there are columns.</summary>
    /// <returns>whether it has</returns>
    public bool CheckLength(FaultList faults)
    {
        if (CellCount == Columns.Count)
            return true;
        faults.Add(Place, $"{CellCount} cells where {Columns.Count} columns are; check for a missing or unquoted delimiter (data.csv.delimiter, data.csv.quote)");
        return false;
    }

    /// <inheritdoc/>
    public void Dispose() => _reader.Dispose();

    private string[] ReadColumns(bool header)
    {
        if (!header)
        {
            if (!Guarded(_read))
                throw new InputException(Name, "the file is empty; give one with at least one row");
            _peeked = true;
            return [.. Enumerable.Range(0, _reader.FieldCount).Select(index => $"c{index}")];
        }
        Guarded(() =>
        {
            _reader.ReadHeader();
            return true;
        });
        var names = _reader.Headers.Select(name => name.Trim()).ToArray();
        if (names.Length == 0)
            throw new InputException(Name, "the file is empty; give one with a header and at least one row");
        var faults = new FaultList();
        for (var i = 0; i < names.Length; i++)
        {
            if (names[i].Length == 0)
                faults.Add($"{Name}:1", $"column {i + 1} has no name; name it in the header (or set data.csv.header: false if there is none)");
            else if (names[i].Contains('\uFFFD'))
                faults.Add($"{Name}:1", $"column {i + 1} '{names[i]}' is not UTF-8; save the file as UTF-8");
        }
        foreach (var twice in names.Where(name => name.Length > 0).GroupBy(name => name, StringComparer.Ordinal).Where(group => group.Count() > 1))
            faults.Add($"{Name}:1", $"column '{twice.Key}' stands {twice.Count()} times in the header; rename all but one (or set data.csv.header: false if there is no header)");
        faults.ThrowIfAny();
        return names;
    }

    private T Guarded<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (CsvFormatException exception)
        {
            throw new InputException(exception.LineNumber > 0 ? $"{Name}:{exception.LineNumber}" : Name, $"{exception.Message.TrimEnd('.')} (data.csv.quote, data.csv.delimiter)");
        }
        catch (InvalidDataException exception)
        {
            throw new InputException(Name, $"the file can't be decompressed: {exception.Message}");
        }
    }
}
