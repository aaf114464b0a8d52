"""Lists, read page by page while they are iterated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

PAGE_SIZE = 100


@dataclass
class Page(Generic[T]):
    """One page of a list."""

    items: list[T]
    """The entries of the page."""
    total: int
    """Entries of all pages together."""
    last: Any
    """Names the last entry; the next page begins behind it. None where the page is empty."""


class Pages(Generic[T]):
    """A list. Iterating it asks for the next page when one is used up; entries that are added meanwhile do not shift it."""

    def __init__(self, fetch: Callable[[Any], Page[T]], size: int) -> None:
        self._fetch, self._size = fetch, size

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[T]]:
        """The pages one by one."""
        before = None
        while True:
            page = self._fetch(before)
            yield page
            if len(page.items) < self._size or page.last is None:
                return
            before = page.last

    def first_page(self) -> Page[T]:
        """The first page alone, with the total."""
        return self._fetch(None)

    def first(self) -> T | None:
        """The first entry."""
        return next(iter(self), None)


class AsyncPages(Generic[T]):
    """A list, for ``async for``."""

    def __init__(self, fetch: Callable[[Any], Awaitable[Page[T]]], size: int) -> None:
        self._fetch, self._size = fetch, size

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[T]]:
        """The pages one by one."""
        before = None
        while True:
            page = await self._fetch(before)
            yield page
            if len(page.items) < self._size or page.last is None:
                return
            before = page.last

    async def first_page(self) -> Page[T]:
        """The first page alone, with the total."""
        return await self._fetch(None)

    async def first(self) -> T | None:
        """The first entry."""
        async for item in self:
            return item
        return None
