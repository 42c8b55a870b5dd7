using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using ClusterNet.Core.Faults;

namespace ClusterNet.Data.Sources;

/// <summary>Reads the elements of a NumPy array block by block.</summary>
/// <param name="stream">at the first element</param>
/// <param name="header">what comes</param>
/// <param name="name">how faults call the array</param>
internal sealed class NpyReader(Stream stream, NpyHeader header, string name)
{
    private const int BlockBytes = 1 << 16;

    /// <summary>Sees some elements, in their order.</summary>
    internal delegate void Visitor<T>(ReadOnlySpan<T> elements);

    /// <summary>The head of the array.</summary>
    public NpyHeader Header => header;

    /// <summary>Reads all elements as float32.</summary>
    /// <param name="destination">as long as the array</param>
    /// <exception cref="InputException">text, or the array ends early</exception>
    public void ReadFloats(Span<float> destination)
    {
        if (header.Kind == NpyKind.Float && header.ItemBytes == sizeof(float) && BitConverter.IsLittleEndian)
        {
            ReadExactly(destination);
            return;
        }
        var block = new byte[BlockBytes - (BlockBytes % header.ItemBytes)];
        var numbers = new double[block.Length / header.ItemBytes];
        while (!destination.IsEmpty)
        {
            var count = Math.Min(numbers.Length, destination.Length);
            ReadNumbers(block, numbers.AsSpan(0, count));
            for (var i = 0; i < count; i++)
                destination[i] = (float)numbers[i];
            destination = destination[count..];
        }
    }

    /// <summary>Shows all elements as numbers.</summary>
    public void VisitNumbers(Visitor<double> visitor)
    {
        var block = new byte[BlockBytes - (BlockBytes % header.ItemBytes)];
        var numbers = new double[block.Length / header.ItemBytes];
        for (var done = 0; done < header.Count;)
        {
            var some = numbers.AsSpan(0, Math.Min(numbers.Length, header.Count - done));
            ReadNumbers(block, some);
            visitor(some);
            done += some.Length;
        }
    }

    /// <summary>Reads all elements as words: text as it is, numbers in their shortest form. NaN and empty text are missing.</summary>
    /// <param name="column">the name of the column they become</param>
    public WordColumn ReadWords(string column)
    {
        var index = new WordIndex();
        var codes = new int[header.Count];
        var item = new byte[header.ItemBytes];
        using var buffered = new BufferedStream(stream, BlockBytes);
        for (var i = 0; i < codes.Length; i++)
        {
            if (buffered.ReadAtLeast(item, item.Length, throwOnEndOfStream: false) < item.Length)
                throw NpyHeader.Truncated(name);
            var word = Word(item);
            codes[i] = word.Length == 0 ? -1 : index.CodeOf(word);
        }
        return new WordColumn(column, codes, index.Words);
    }

    private string Word(ReadOnlySpan<byte> item)
    {
        switch (header.Kind)
        {
            case NpyKind.Unicode or NpyKind.Bytes:
                var text = (header.Kind == NpyKind.Unicode ? Encoding.UTF32 : Encoding.ASCII).GetString(item).TrimEnd('\0');
                return Cells.Word(text.Trim());
            case NpyKind.Float:
                var number = Number(item);
                return double.IsNaN(number) ? "" : Cells.Word(header.ItemBytes == 4 ? double.Parse(((float)number).ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) : number);
            default:
                return WholeNumber(item).ToString(CultureInfo.InvariantCulture);
        }
    }

    private void ReadNumbers(byte[] block, Span<double> numbers)
    {
        if (header.IsText)
            throw new InputException(name, $"text ({header.Type}) where numbers belong");
        var bytes = block.AsSpan(0, numbers.Length * header.ItemBytes);
        ReadExactly(bytes);
        for (var i = 0; i < numbers.Length; i++)
            numbers[i] = Number(bytes.Slice(i * header.ItemBytes, header.ItemBytes));
    }

    private double Number(ReadOnlySpan<byte> item) => (header.Kind, header.ItemBytes) switch
    {
        (NpyKind.Float, 4) => BinaryPrimitives.ReadSingleLittleEndian(item),
        (NpyKind.Float, _) => BinaryPrimitives.ReadDoubleLittleEndian(item),
        _ => WholeNumber(item),
    };

    private long WholeNumber(ReadOnlySpan<byte> item) => (header.Kind, header.ItemBytes) switch
    {
        (NpyKind.Signed, 1) => (sbyte)item[0],
        (_, 1) => item[0],
        (NpyKind.Signed, 2) => BinaryPrimitives.ReadInt16LittleEndian(item),
        (_, 2) => BinaryPrimitives.ReadUInt16LittleEndian(item),
        (_, 4) => BinaryPrimitives.ReadInt32LittleEndian(item),
        _ => BinaryPrimitives.ReadInt64LittleEndian(item),
    };

    private void ReadExactly<T>(Span<T> destination)
        where T : unmanaged
    {
        const int Most = 1 << 24;
        while (!destination.IsEmpty)
        {
            var some = MemoryMarshal.AsBytes(destination[..Math.Min(Most, destination.Length)]);
            if (stream.ReadAtLeast(some, some.Length, throwOnEndOfStream: false) < some.Length)
                throw NpyHeader.Truncated(name);
            destination = destination[Math.Min(Most, destination.Length)..];
        }
    }
}
