using System.Buffers.Binary;
using System.Text;

namespace ClusterNet.Learning.Native;

/// <summary>
/// Makes a 64-bit little-endian ELF library ask for one symbol version of another library weakly, so that the dynamic linker only notes its absence (flag
/// <c>VER_FLG_WEAK</c> of the version-needs table: Linux Standard Base Core 5.0, section 10.7.4). Nothing else in the file changes.
/// </summary>
internal static class VersionNeed
{
    private const int SectionDynamicSymbols = 11;
    private const int SectionVersionSymbols = 0x6fffffff;
    private const int SectionVersionNeeds = 0x6ffffffe;
    private const int FlagWeak = 2;

    /// <summary>Weakens the need for <paramref name="version"/>, provided that nothing but the symbol <paramref name="onlySymbol"/> has it.</summary>
    /// <param name="library">the whole file; changed in place</param>
    /// <param name="version">the symbol version, e.g. <c>GLIBCXX_3.4.32</c></param>
    /// <param name="onlySymbol">the one symbol that may be lacking without harm</param>
    /// <exception cref="InvalidDataException">the file is not what this was made for; it is left as it was</exception>
    public static void Weaken(Span<byte> library, string version, string onlySymbol)
    {
        try
        {
            var elf = new Elf(library);
            var (entry, index) = FindNeed(elf, version);
            var users = SymbolsOfVersion(elf, index);
            if (users.Count != 1 || users[0] != onlySymbol)
                throw new InvalidDataException($"{version} is needed for {string.Join(", ", users)} where {onlySymbol} alone was expected");
            var flags = library.Slice(entry + 4, 2);
            BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(flags) | FlagWeak));
        }
        catch (ArgumentOutOfRangeException)
        {
            throw new InvalidDataException("the ELF tables point outside the file");
        }
    }

    /// <summary>Walks the version-needs table (a chain of libraries, each with a chain of versions) to the entry with this name.</summary>
    private static (int Entry, int Index) FindNeed(Elf elf, string version)
    {
        var needs = elf.Section(SectionVersionNeeds);
        var names = elf.Section(needs.Link, byIndex: true);
        for (var need = needs.Offset; ;)
        {
            var entry = need + elf.Int(need + 8);
            for (var left = elf.Short(need + 2); left > 0; left--)
            {
                if (elf.Name(names.Offset + elf.Int(entry + 8)) == version)
                    return (entry, elf.Short(entry + 6));
                entry += elf.Int(entry + 12);
            }
            var next = elf.Int(need + 12);
            if (next == 0)
                throw new InvalidDataException($"no need for {version} is recorded in it");
            need += next;
        }
    }

    private static List<string> SymbolsOfVersion(Elf elf, int version)
    {
        var symbols = elf.Section(SectionDynamicSymbols);
        var versions = elf.Section(SectionVersionSymbols);
        var names = elf.Section(symbols.Link, byIndex: true);
        var found = new List<string>();
        for (var i = 0; i < versions.Size / 2; i++)
        {
            if ((elf.Short(versions.Offset + 2 * i) & 0x7fff) == version)
                found.Add(elf.Name(names.Offset + elf.Int(symbols.Offset + 24 * i)));
        }
        return found;
    }

    private readonly ref struct Elf
    {
        private readonly ReadOnlySpan<byte> _file;

        public Elf(ReadOnlySpan<byte> file)
        {
            if (!file.StartsWith("\u007fELF\u0002\u0001"u8))
                throw new InvalidDataException("it is not a 64-bit little-endian ELF file");
            _file = file;
        }

        public int Short(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_file[offset..]);

        public int Int(int offset) => BinaryPrimitives.ReadInt32LittleEndian(_file[offset..]);

        public string Name(int offset)
        {
            var text = _file[offset..];
            return Encoding.ASCII.GetString(text[..text.IndexOf((byte)0)]);
        }

        /// <summary>The section with this number, or the first of this type.</summary>
        public (int Offset, int Size, int Link) Section(int wanted, bool byIndex = false)
        {
            var table = checked((int)BinaryPrimitives.ReadInt64LittleEndian(_file[40..]));
            var count = Short(60);
            for (var i = 0; i < count; i++)
            {
                var header = table + i * Short(58);
                if (byIndex ? i == wanted : Int(header + 4) == wanted)
                {
                    return (checked((int)BinaryPrimitives.ReadInt64LittleEndian(_file[(header + 24)..])),
                        checked((int)BinaryPrimitives.ReadInt64LittleEndian(_file[(header + 32)..])), Int(header + 40));
                }
            }
            throw new InvalidDataException($"it has no section {(byIndex ? "number" : "of type")} 0x{wanted:x}");
        }
    }
}
